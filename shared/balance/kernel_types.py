"""How kernels are compiled, and the arrays as Numba knows them, for their signatures."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba as nb
import numpy as np

from shared.balance.changes import empty_changes
from shared.balance.memory import empty_memory
from shared.balance.placement import Placement, regular_records
from shared.kernel_options import KERNEL_OPTIONS


def _sample_placement() -> Placement:
    int8, int32, int64 = np.zeros(1, np.int8), np.zeros(1, np.int32), np.zeros(1, np.int64)
    return Placement(
        regular=regular_records(0),
        register=int8,
        meter=int32,
        first_place=int32,
        zone=int32,
        kind=int8,
        pool=int8,
        energy_wh_max=int64,
        valid_from_s=int64,
        valid_to_s=int64,
        zone_parent=int32,
        zone_id=int32,
        first_exchange=int32,
        exchange_at_s=int64,
        exchange_last_wh=int64,
        exchange_first_wh=int64,
        exchange_blank=int8,
    )


MEMORY_TYPE = nb.typeof(empty_memory(1))
PLACEMENT_TYPE = nb.typeof(_sample_placement())
CHANGES_TYPE = nb.typeof(empty_changes(1))
READING_TYPES = (
    nb.types.Array(nb.int32, 1, "C", readonly=True),
    nb.types.Array(nb.int64, 1, "C", readonly=True),
    nb.types.Array(nb.int64, 1, "C", readonly=True),
    nb.types.Array(nb.int32, 1, "C", readonly=True),
)
"""Columns of readings: slot, ts_s, value, version."""

_Function = TypeVar("_Function", bound=Callable[..., object])


def kernel(signature: Any, inline: bool = False) -> Callable[[_Function], _Function]:
    """Compiles a function by KERNEL_OPTIONS; with `inline` it becomes part of its callers."""
    options = {**KERNEL_OPTIONS, "inline": "always" if inline else "never"}
    compiled: Callable[[_Function], _Function] = nb.njit(signature, **options)
    return compiled
