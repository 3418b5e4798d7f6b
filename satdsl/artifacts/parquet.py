"""Write columns as the bytes of a Parquet file that says what they are, and read them back.

Equal columns give equal bytes. Reading executes nothing: a file either has the types of its table, or is refused.
pandas, Polars, DuckDB and everything else that knows Parquet can read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from satdsl.artifacts.schemas import FORMAT, ColumnSchema, TableSchema

ABOUT = "satdsl"
"""The key in the file's metadata under which it says, in JSON, what it and its columns are."""


class Unreadable(Exception):
    """A table is not what it should be; the text names the file."""


def to_bytes(schema: TableSchema, columns: Mapping[str, Any], **facts: Any) -> bytes:
    """Return a Parquet file of these columns: NumPy arrays, or lists in which None stands for a missing value.

    `facts` are added to what the file says of itself.
    """
    import pyarrow as pa

    document = schema.document(list(columns)) | facts
    arrays = {name: _array(values, schema.column(name)) for name, values in columns.items()}
    return written(pa.table(arrays), document)


def written(table: Any, document: Mapping[str, Any]) -> bytes:
    """Return a pyarrow table as a Parquet file that says `document` of itself.

    Integers are stored as differences and floats byte by byte, because zstd compresses them better so.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {field.name: field.type for field in table.schema}
    encodings = {name: "DELTA_BINARY_PACKED" for name, kind in kinds.items() if pa.types.is_integer(kind)}
    encodings |= {name: "BYTE_STREAM_SPLIT" for name, kind in kinds.items() if pa.types.is_floating(kind)}
    out = pa.BufferOutputStream()
    with pq.ParquetWriter(
        out,
        table.schema,
        compression="zstd",
        store_schema=False,  # it is for Arrow alone, and the types of Parquet say everything
        use_dictionary=[name for name in kinds if name not in encodings],
        column_encoding=encodings,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({ABOUT: json.dumps(document)})
    content: bytes = out.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes, schema: TableSchema, names: Sequence[str] | None = None) -> Any:
    """Return the pyarrow table in a file that `to_bytes` wrote: the columns with these names (None: all).

    Raises:
        Unreadable: it is something else, or lacks one of the columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_document(file.metadata.metadata or {}, schema)
        table = file.read(None if names is None else list(names), use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(str(error).splitlines()[0].rstrip(".") if str(error) else "it is no Parquet file") from None
    wanted = [name for name, column in schema.columns.items() if column.present] if names is None else names
    if missing := [name for name in wanted if name not in table.column_names]:
        raise Unreadable(f"it has no column {', '.join(missing)}")
    for field, values in zip(table.schema, table.columns, strict=True):
        _check_column(field.name, values, schema.column(field.name))
    return table


def _check_document(metadata: Mapping[bytes, bytes], schema: TableSchema) -> None:
    try:
        document = json.loads(metadata[ABOUT.encode()])
        table, version = document["table"], int(document["format_version"])
    except (KeyError, ValueError, TypeError):
        raise Unreadable("it was not written by satdsl") from None
    if table != schema.name:
        raise Unreadable(f"it is a table of {table}")
    if version > FORMAT:
        raise Unreadable(f"it was written by a newer satdsl (format {version}; this one reads up to {FORMAT})")


def _check_column(name: str, values: Any, column: ColumnSchema | None) -> None:
    if column is None:
        raise Unreadable(f"it has a column {name} that is not known")
    if values.type != _type(column):
        raise Unreadable(f"its column {name} is {values.type}, not {_type(column)}")
    if values.null_count and not column.optional:
        raise Unreadable(f"its column {name} has gaps")


def _array(values: Any, column: ColumnSchema | None) -> Any:
    import pyarrow as pa

    assert column is not None
    return pa.array(values, type=_type(column))


def _type(column: ColumnSchema) -> Any:
    import pyarrow as pa

    return pa.string() if column.type == "string" else pa.type_for_alias(column.type)
