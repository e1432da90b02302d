"""Rules 7 and 8: what follows from a zone's sums once its partitions' partial rows are added. Pure, integers only.

Works on whole columns: every argument and field is an array with one number a quarter of an hour (or, after
`sum_buckets`, one a bucket).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from shared.words import RENEWABLE_KINDS, SUMMED_KINDS, MeterKind

Whole = npt.NDArray[np.int64]

RATIO_PARTS = 10_000
"""Ratios are given to 4 decimals: in whole ten-thousandths."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A zone's balance per window. Energies in Wh; `*_known` is 1 where the figure before it may be given, else 0."""

    withdrawn_wh: Whole
    injected_wh: Whole
    injected_res_wh: Whole
    charged_wh: Whole
    discharged_wh: Whole
    pool_drawn_wh: Whole
    pool_injected_wh: Whole
    local_wh: Whole
    import_wh: Whole
    export_wh: Whole
    unaccounted_wh: Whole
    unaccounted_known: Whole
    losses_known: Whole
    expected: Whole
    measured: Whole
    estimated: Whole
    excluded: Whole
    missing: Whole

    @property
    def demand_wh(self) -> Whole:
        """Withdrawn and charged (rule 7)."""
        return self.withdrawn_wh + self.charged_wh

    @property
    def supply_wh(self) -> Whole:
        """Injected and discharged (rule 7)."""
        return self.injected_wh + self.discharged_wh


def derive_balance(sums: Mapping[str, Whole], expected: Whole, boundary_registers: Whole) -> Balance:
    """The balance of each quarter.

    `sums` has the columns of a partial row by name, added over the partitions. `expected` counts the series that are
    valid at each window's start, `boundary_registers` the registers of the zone's own boundary meters that are.
    Losses are the unaccounted energy where `losses_known` says so (rule 8).
    """
    withdrawn = _sum_of(sums, "withdrawn", _OTHER_KINDS)
    injected = _sum_of(sums, "injected", _OTHER_KINDS)
    charged, discharged = sums["storage_withdrawn_wh"], sums["storage_injected_wh"]
    demand, supply = withdrawn + charged, injected + discharged
    local = np.minimum(demand, supply)
    missing = expected - sums["measured"] - sums["estimated"] - sums["excluded"]
    unaccounted_known = (boundary_registers > 0) & (sums["boundary_known"] == boundary_registers)
    losses_known = unaccounted_known & (missing == 0) & (sums["excluded"] == 0)
    return Balance(
        withdrawn_wh=withdrawn,
        injected_wh=injected,
        injected_res_wh=_sum_of(sums, "injected", RENEWABLE_KINDS),
        charged_wh=charged,
        discharged_wh=discharged,
        pool_drawn_wh=sums["pool_drawn_wh"],
        pool_injected_wh=sums["pool_injected_wh"],
        local_wh=local,
        import_wh=demand - local,
        export_wh=supply - local,
        unaccounted_wh=sums["boundary_wh"] - (demand - supply),
        unaccounted_known=unaccounted_known.astype(np.int64),
        losses_known=losses_known.astype(np.int64),
        expected=expected,
        measured=sums["measured"],
        estimated=sums["estimated"],
        excluded=sums["excluded"],
        missing=missing,
    )


def sum_buckets(quarters: Balance, first: npt.NDArray[np.intp]) -> Balance:
    """The balance of each bucket of quarters; `first` is the place of each bucket's first quarter, none empty (rule 7).

    Everything is summed, local, import and export included; a figure that one quarter lacks, the bucket lacks.
    """
    columns = {}
    for field in fields(quarters):
        column: Whole = getattr(quarters, field.name)
        add = np.minimum if field.name.endswith("_known") else np.add
        columns[field.name] = add.reduceat(column, first) if len(first) else column[:0]
    return Balance(**columns)


def ratio_parts(part_wh: int, whole_wh: int) -> int | None:
    """`part_wh` / `whole_wh` in ten-thousandths, halves rounded up, exact; None where the divisor is 0."""
    if whole_wh == 0:
        return None
    return (2 * RATIO_PARTS * part_wh + whole_wh) // (2 * whole_wh)


_OTHER_KINDS = tuple(kind for kind in SUMMED_KINDS if kind is not MeterKind.STORAGE)


def _sum_of(sums: Mapping[str, Whole], flow: str, kinds: tuple[MeterKind, ...]) -> Whole:
    total: Whole = np.sum([sums[f"{kind}_{flow}_wh"] for kind in kinds], axis=0, dtype=np.int64)
    return total
