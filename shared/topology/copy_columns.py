"""Columns into and out of PostgreSQL: COPY as CSV, written and read by Arrow, so that a million rows take seconds."""

import asyncio
import io

import asyncpg
import pyarrow as pa
import pyarrow.csv as pa_csv


async def copy_in(connection: asyncpg.Connection, table: str, columns: pa.Table) -> None:
    """Appends `columns` to `table`; null becomes NULL; text is read as the column's type."""
    if columns.num_rows == 0:
        return
    sink = io.BytesIO()
    # Every value quoted, null unquoted: so an empty text differs from NULL.
    options = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pa_csv.write_csv(columns, sink, options)
    sink.seek(0)
    await connection.copy_to_table(table, source=sink, columns=columns.column_names, format="csv")


async def copy_out(
    connection: asyncpg.Connection,
    query: str,
    *arguments: object,
    types: dict[str, pa.DataType],
    timeout_s: float | None = None,
) -> pa.Table:
    """The rows of `query`, whose columns are those of `types` in that order and never NULL.

    Raises TimeoutError after `timeout_s`; None: after the connection's own time-out.
    """
    sink = io.BytesIO()
    await connection.copy_from_query(query, *arguments, output=sink, format="csv", timeout=timeout_s)
    return await asyncio.to_thread(_columns, sink, types)


def _columns(sink: io.BytesIO, types: dict[str, pa.DataType]) -> pa.Table:
    if sink.tell() == 0:
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return pa_csv.read_csv(
        pa.py_buffer(sink.getbuffer()),
        read_options=pa_csv.ReadOptions(column_names=list(types)),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, null_values=[], strings_can_be_null=False, true_values=["t"], false_values=["f"]
        ),
    )
