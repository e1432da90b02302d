"""Rules 7 and 8 on columns, against a plain reading of the rules, one window at a time."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.balance.derived import RATIO_PARTS, derive_balance, ratio_parts, sum_buckets
from shared.words import SUMMED_KINDS

ENERGIES = [f"{kind}_{flow}_wh" for kind in SUMMED_KINDS for flow in ("withdrawn", "injected")]
COUNTS = ["measured", "estimated", "excluded"]
Window = dict[str, int]

few = st.integers(0, 2)
windows = st.lists(
    st.fixed_dictionaries(
        {name: st.integers(0, 3) | st.integers(0, 10**12) for name in [*ENERGIES, "pool_drawn_wh", "pool_injected_wh"]}
        | dict.fromkeys([*COUNTS, "boundary_known", "boundary_registers"], few)
        | {"boundary_wh": st.integers(-(10**12), 10**12), "expected": st.integers(0, 6)}
    ),
    min_size=1,
    max_size=8,
)


def reference(window: Mapping[str, int]) -> dict[str, int | None]:
    """Rules 6, 7 and 8 as they are written, in plain integers."""
    others = [kind for kind in SUMMED_KINDS if kind != "storage"]
    withdrawn = sum(window[f"{kind}_withdrawn_wh"] for kind in others)
    injected = sum(window[f"{kind}_injected_wh"] for kind in others)
    demand = withdrawn + window["storage_withdrawn_wh"]
    supply = injected + window["storage_injected_wh"]
    local = min(demand, supply)
    missing = window["expected"] - window["measured"] - window["estimated"] - window["excluded"]
    whole = window["boundary_registers"] > 0 and window["boundary_known"] == window["boundary_registers"]
    unaccounted = window["boundary_wh"] - (demand - supply) if whole else None
    return {
        "withdrawn_wh": withdrawn,
        "injected_wh": injected,
        "injected_res_wh": sum(window[f"{kind}_injected_wh"] for kind in ("pv", "wind", "hydro", "biogas", "prosumer")),
        "charged_wh": window["storage_withdrawn_wh"],
        "discharged_wh": window["storage_injected_wh"],
        "local_wh": local,
        "import_wh": demand - local,
        "export_wh": supply - local,
        "missing": missing,
        "unaccounted": unaccounted,
        "losses": unaccounted if missing == 0 and window["excluded"] == 0 else None,
    }


def given_as(
    column: np.ndarray[tuple[int], np.dtype[np.int64]], known: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[int | None]:
    return [value if there else None for value, there in zip(column.tolist(), known.tolist(), strict=True)]


@given(windows, st.data())
def test_columns_are_the_rules(chosen: list[Window], data: st.DataObject) -> None:
    columns = {name: np.array([window[name] for window in chosen], np.int64) for name in chosen[0]}
    balance = derive_balance(columns, columns["expected"], columns["boundary_registers"])
    wanted = [reference(window) for window in chosen]
    for name in set(wanted[0]) - {"unaccounted", "losses"}:
        assert getattr(balance, name).tolist() == [window[name] for window in wanted]
    assert given_as(balance.unaccounted_wh, balance.unaccounted_known) == [window["unaccounted"] for window in wanted]
    assert given_as(balance.unaccounted_wh, balance.losses_known) == [window["losses"] for window in wanted]

    later = data.draw(st.sets(st.integers(1, len(chosen) - 1))) if len(chosen) > 1 else set()
    first = np.array([0, *sorted(later)])
    summed = sum_buckets(balance, first)
    buckets = [wanted[begin:end] for begin, end in zip(first, [*first[1:], len(chosen)], strict=True)]
    for name in ("local_wh", "import_wh", "export_wh", "missing", "injected_res_wh"):
        assert getattr(summed, name).tolist() == [sum(window[name] or 0 for window in bucket) for bucket in buckets]
    for name, known in (("unaccounted", summed.unaccounted_known), ("losses", summed.losses_known)):
        assert given_as(summed.unaccounted_wh, known) == [
            None if any(window[name] is None for window in bucket) else sum(window[name] or 0 for window in bucket)
            for bucket in buckets
        ]


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_ratios_are_exact_to_four_decimals(part: int, whole: int) -> None:
    parts = ratio_parts(part, whole)
    if whole == 0:
        assert parts is None
    else:
        assert parts is not None
        error = Fraction(parts, RATIO_PARTS) - Fraction(part, whole)
        assert -Fraction(1, 2 * RATIO_PARTS) < error <= Fraction(1, 2 * RATIO_PARTS)


def test_nothing_sums_to_nothing() -> None:
    empty = {name: np.empty(0, np.int64) for name in [*ENERGIES, *COUNTS, "pool_drawn_wh", "pool_injected_wh",
                                                      "boundary_wh", "boundary_known"]}  # fmt: skip
    balance = derive_balance(empty, np.empty(0, np.int64), np.empty(0, np.int64))
    assert len(sum_buckets(balance, np.empty(0, np.intp)).import_wh) == 0
