"""Write and read the tables of artifacts as Parquet: the rows of evaluations, scores, splits and curves.

This package knows neither torch nor the language. pyarrow is imported when the first table is written or read.
"""
