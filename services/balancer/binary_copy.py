"""PostgreSQL's binary COPY format straight from numpy columns: no Python object is made a row."""

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
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind, _ in columns:
        fields += [(f"{name} length", ">i4"), (name, _WIRE_TYPES[kind])]
    table = np.zeros(rows, np.dtype(fields))
    table["fields"] = len(columns)
    for name, kind, values in columns:
        table[f"{name} length"] = table.dtype[name].itemsize
        # PostgreSQL counts microseconds since 2000-01-01.
        table[name] = (values - EARLIEST_INSTANT_S) * 1_000_000 if kind == "timestamptz" else values
    return BytesIO(_HEADER + table.tobytes() + _TRAILER)
