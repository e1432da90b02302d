"""Readings of many partitions to those of each, in the order they came."""

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.kernel_options import KERNEL_OPTIONS

_partitions = nb.types.Array(nb.int16, 1, "C", readonly=True)
_flags = nb.types.Array(nb.boolean, 1, "C", readonly=True)
_narrow = nb.types.Array(nb.int32, 1, "C", readonly=True)
_wide = nb.types.Array(nb.int64, 1, "C", readonly=True)


@nb.njit(nb.void(_partitions, _flags, nb.int64[::1]), **KERNEL_OPTIONS)
def count_by_partition(
    partition: npt.NDArray[np.int16], chosen: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]
) -> None:
    """Adds to `counts` how many of the chosen rows each partition has."""
    for row in range(len(partition)):
        if chosen[row]:
            counts[partition[row]] += 1


@nb.njit(
    nb.void(
        _partitions,
        _flags,
        nb.int64[::1],
        _narrow,
        _wide,
        _wide,
        _narrow,
        nb.int32[::1],
        nb.int64[::1],
        nb.int64[::1],
        nb.int32[::1],
    ),
    **KERNEL_OPTIONS,
)
def scatter_by_partition(
    partition: npt.NDArray[np.int16],
    chosen: npt.NDArray[np.bool_],
    places: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int32],
    ts_s: npt.NDArray[np.int64],
    value: npt.NDArray[np.int64],
    version: npt.NDArray[np.int32],
    slot_out: npt.NDArray[np.int32],
    ts_s_out: npt.NDArray[np.int64],
    value_out: npt.NDArray[np.int64],
    version_out: npt.NDArray[np.int32],
) -> None:
    """Copies the chosen rows so that those of a partition stand together, from its place in `places` on."""
    for row in range(len(partition)):
        if chosen[row]:
            place = places[partition[row]]
            places[partition[row]] = place + 1
            slot_out[place], ts_s_out[place] = slot[row], ts_s[row]
            value_out[place], version_out[place] = value[row], version[row]
