"""PostgreSQL's binary COPY format straight from and to numpy columns: no Python object is made a row."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.limits import EARLIEST_INSTANT_S

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_WIRE_TYPES = {"smallint": ">i2", "integer": ">i4", "bigint": ">i8", "timestamptz": ">i8", "boolean": "i1"}

Column = tuple[str, str, npt.NDArray[Any] | int]
"""A column's name, its type in PostgreSQL, and its values or the one value of all rows. `timestamptz` values are
seconds since 1970."""


def binary_copy(columns: Sequence[Column], rows: int) -> BytesIO:
    """The rows as a stream for `COPY … FROM STDIN (FORMAT binary)`."""
    table = np.zeros(rows, _row_type([(name, kind) for name, kind, _ in columns]))
    table["fields"] = len(columns)
    for name, kind, values in columns:
        table[f"{name} length"] = table.dtype[name].itemsize
        # PostgreSQL counts microseconds since 2000-01-01.
        table[name] = (values - EARLIEST_INSTANT_S) * 1_000_000 if kind == "timestamptz" else values
    return BytesIO(_HEADER + table.tobytes() + _TRAILER)


def from_binary_copy(content: bytes, columns: Sequence[tuple[str, str]]) -> dict[str, npt.NDArray[Any]]:
    """The columns of a `COPY … TO STDOUT (FORMAT binary)`, each with its name and type in PostgreSQL, none ever NULL.

    `timestamptz` comes as seconds since 1970.
    """
    body = memoryview(content)[len(_HEADER) : -len(_TRAILER)]
    table = np.frombuffer(body, _row_type(columns))
    assert (table["fields"] == len(columns)).all()
    found = {}
    for name, kind in columns:
        values = table[name].astype(table.dtype[name].newbyteorder("="))
        found[name] = values // 1_000_000 + EARLIEST_INSTANT_S if kind == "timestamptz" else values
    return found


def _row_type(columns: Sequence[tuple[str, str]]) -> np.dtype[Any]:
    """A row as it stands in the stream: each value behind its length."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"{name} length", ">i4"), (name, _WIRE_TYPES[kind])]
    return np.dtype(fields)
