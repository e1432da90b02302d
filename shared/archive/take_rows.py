"""The kernel that takes the rows of wanted series out of a decoded row group."""

import numba as nb
import numpy as np
import numpy.typing as npt

from shared.balance.kernel_types import kernel
from shared.balance.memory import Int32Array, Int64Array

Flags = npt.NDArray[np.bool_]


def _readonly(of: nb.types.Type) -> nb.types.Array:
    return nb.types.Array(of, 1, "C", readonly=True)


@kernel(
    nb.types.UniTuple(nb.int64, 2)(
        _readonly(nb.int32),
        _readonly(nb.int64),
        _readonly(nb.int64),
        _readonly(nb.int32),
        nb.boolean[::1],
        nb.int32[::1],
        nb.int64[::1],
        nb.int64[::1],
        nb.int32[::1],
        nb.int64,
        nb.int64[::1],
        nb.int64,
    )
)
def take_rows(
    slot: Int32Array,
    ts_ms: Int64Array,
    value: Int64Array,
    version: Int32Array,
    wanted: Flags,
    to_slot: Int32Array,
    to_ts_s: Int64Array,
    to_value: Int64Array,
    to_version: Int32Array,
    at: int,
    run_begin: Int64Array,
    runs: int,
) -> tuple[int, int]:
    """Copies the readings of wanted slots to place `at` and on, in seconds; `version` may be one for all.

    Where a slot follows on another, that place is noted as the begin of run number `runs`, which is then the next.
    Returns the place after the last reading, and the number of runs.
    """
    one_version = len(version) == 1
    last = to_slot[at - 1] if runs > 0 else -1
    for i in range(len(slot)):
        if slot[i] < len(wanted) and wanted[slot[i]]:
            if slot[i] != last:
                last = slot[i]
                run_begin[runs] = at
                runs += 1
            to_slot[at] = last
            to_ts_s[at] = ts_ms[i] // 1000
            to_value[at] = value[i]
            to_version[at] = version[0] if one_version else version[i]
            at += 1
    return at, runs
