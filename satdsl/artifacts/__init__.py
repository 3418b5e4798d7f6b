"""The tables that steps leave and reports read: per-image rows, scores, splits and curves, as Parquet.

Neither torch nor the language is known here. pyarrow is imported when the first table is written or read.
"""
