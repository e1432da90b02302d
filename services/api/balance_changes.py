"""Messages of the topic `bilans.balance`: which windows of which zones a flush changed, and what it restated."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shared.balance.derived import Balance, derive_balance
from shared.database.tables import SUM_COLUMNS
from shared.limits import QUARTER_S

Change = tuple[str, int, int]
"""A zone, and the start and end (seconds since 1970) of a run of windows that changed."""


def decode_changes(value: bytes) -> set[tuple[str, int]]:
    """The (zone, window start in seconds since 1970) that a message names. Raises ValueError when it is none."""
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        table = reader.read_all()
    starts = table.column("window_start").cast(pa.int64()).to_pylist()
    return set(zip(table.column("zone").to_pylist(), starts, strict=True))


@dataclass(frozen=True, slots=True)
class Restatement:
    """What became of a window that was closed: the figures of a balance's row that need no topology."""

    revision: int
    before: dict[str, int]
    after: dict[str, int]


FIGURES = (
    *("withdrawn_wh", "injected_wh", "injected_res_wh", "charged_wh", "discharged_wh"),
    *("pool_drawn_wh", "pool_injected_wh", "local_wh", "import_wh", "export_wh"),
    *("measured", "estimated", "excluded"),
)


def decode_restatements(value: bytes, rows_max: int) -> dict[tuple[str, int], Restatement]:
    """What a message of restatements says, by zone and window start, its first `rows_max` rows.

    Raises ValueError or KeyError when it is none.
    """
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        table = reader.read_all().slice(0, rows_max)
    keys = zip(table["zone"].to_pylist(), table["window_start"].cast(pa.int64()).to_pylist(), strict=True)
    before, after = _figures(table, "before"), _figures(table, "after")
    rows = zip(keys, table["revision"].to_pylist(), before, after, strict=True)
    return {key: Restatement(revision, *figures) for key, revision, *figures in rows}


def _figures(table: pa.Table, when: str) -> list[dict[str, int]]:
    nothing = np.zeros(len(table), np.int64)
    sums = {name: table[f"{when}_{name}"].to_numpy() for name in SUM_COLUMNS}
    balance: Balance = derive_balance(sums, nothing, nothing)
    columns = [getattr(balance, name).tolist() for name in FIGURES]
    return [dict(zip(FIGURES, row, strict=True)) for row in zip(*columns, strict=True)]


def runs_of_windows(changed: set[tuple[str, int]]) -> Iterator[Change]:
    """The windows in `changed`, each once, those that follow one another as one run."""
    by_zone: dict[str, list[int]] = {}
    for zone, start_s in changed:
        by_zone.setdefault(zone, []).append(start_s)
    for zone, starts in sorted(by_zone.items()):
        ordered = np.sort(np.array(starts, np.int64))
        for run in np.split(ordered, np.flatnonzero(np.diff(ordered) != QUARTER_S) + 1):
            yield zone, int(run[0]), int(run[-1]) + QUARTER_S
