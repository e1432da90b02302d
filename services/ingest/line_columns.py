"""What the kernels find in JSON deliveries, as columns."""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

BYTES_TYPE = nb.types.Array(nb.uint8, 1, "C", readonly=True)
NUMBERS_TYPE = nb.types.Array(nb.int64, 1, "C", readonly=True)
COLUMNS_TYPE = nb.types.Array(nb.int64, 2, "C")
FLAGS_TYPE = nb.types.Array(nb.boolean, 1, "C")


@dataclass(frozen=True, slots=True)
class LineColumns:
    """What stands in each delivery; only where `taken`."""

    taken: npt.NDArray[np.bool_]
    meter_start: npt.NDArray[np.int64]
    meter_end: npt.NDArray[np.int64]
    """The meter's name is text[meter_start:meter_end]; any bytes but quote, backslash and control characters."""
    register_start: npt.NDArray[np.int64]
    register_end: npt.NDArray[np.int64]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    version: npt.NDArray[np.int64]


METER_START, METER_END, REGISTER_START, REGISTER_END, TS_S, VALUE, VERSION, TS_START, VALUE_START = range(9)
"""The rows of the kernels' array of columns: first those of LineColumns, in their order."""

LINE_COLUMNS = VERSION + 1
"""How many rows are of LineColumns."""
