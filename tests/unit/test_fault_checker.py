"""The checker of the fault runs is checked: a clean history is green, and each slip that it is there for is told."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.end_to_end.recompute import COLUMNS, recompute
from tests.end_to_end.recompute_topology import PlainTopology, read_plain_topology
from tests.end_to_end.slices import HOMES, between
from tests.faults.checker import problems
from tests.faults.feed import READINGS_SCHEMA
from tests.faults.history import (
    IDENTITY,
    Body,
    BooksSeen,
    History,
    Outcome,
    Refused,
    RevisionKey,
    RevisionRow,
    RowSeen,
)

NONSENSE = Refused("malformed", b"nonsense")


def _clean() -> tuple[History, Outcome, PlainTopology]:
    """Two days of fifteen homes as they would be if all went well: a reading came twice, one line was nonsense."""
    topology = read_plain_topology(HOMES)
    table = between(HOMES, "2016-08-02T00:00:00Z", "2016-08-04T00:00:00Z")
    table = table.append_column("version", pa.array(np.zeros(len(table), np.int32))).cast(READINGS_SCHEMA)
    half = len(table) // 2
    bodies = [
        Body(table.slice(0, half), (NONSENSE,)),
        Body(table.slice(half - 1), tries=2),  # the last of the first half comes again
    ]
    sent = pa.concat_tables([body.readings for body in bodies])
    places = {
        "partition": pa.array(np.zeros(len(sent), np.int16)),
        "log_offset": pa.array(np.arange(len(sent)) // 100),
        "position": pa.array((np.arange(len(sent)) % 100).astype(np.int32)),
    }
    received = len(sent) + 1
    recomputation = recompute(sent, topology)
    revisions = {
        RevisionKey(zone_id, window_start_s, 0, revision): RevisionRow(float(revision), f"{zone_id} {revision}")
        for zone_id in (1, 2)
        for window_start_s in (0, 900)
        for revision in (1, 2, 3)
    }
    books = {"applied": len(sent) - 1, "unchanged": 1, "pending": 0, "rejected": {"malformed": 1}, "difference": 0}
    outcome = Outcome(
        log=pa.table({**places, **{name: sent[name] for name in IDENTITY}}),
        archive=sent,
        rejected=Counter({(NONSENSE.reason, NONSENSE.original): 1}),
        books={"received": received, **books},
        sums={
            (zone, start_s): {name: recomputation.partial(zone, start_s)[name] for name in COLUMNS}
            for zone in recomputation.zones
            for start_s in recomputation.windows(zone)
        },
        revisions=revisions,
    )
    seen = [
        BooksSeen(0.1, {"received": 0, "applied": 0, "unchanged": 0, "pending": 0, "rejected": {}, "difference": 0}),
        BooksSeen(0.2, outcome.books),
    ]
    rows = [
        RowSeen(0.1, "CLUSTER", "10:00", "open", 0, "2026-01-01T00:00:01Z", "1"),
        RowSeen(0.2, "CLUSTER", "10:00", "open", 0, "2026-01-01T00:00:02Z", "2"),
        RowSeen(0.3, "CLUSTER", "10:00", "provisional", 1, "2026-01-01T00:00:03Z", "2"),
        RowSeen(0.4, "CLUSTER", "10:00", "provisional", 1, "2026-01-01T00:00:03Z", "2"),
        RowSeen(0.5, "CLUSTER", "10:00", "final", 2, "2026-01-01T00:00:04Z", "3"),
    ]
    return History(bodies, seen, rows, dict(revisions)), outcome, topology


@pytest.fixture(scope="module")
def clean() -> tuple[History, Outcome, PlainTopology]:
    return _clean()


def test_a_clean_history_is_green(clean: tuple[History, Outcome, PlainTopology]) -> None:
    assert problems(*clean) == []


# --- slips: each changes a history or an outcome --------------------------------------------------------------------

Slip = Callable[[History, Outcome], None]


def _count_one_more(outcome: Outcome, name: str) -> None:
    outcome.books["received"] += 1
    outcome.books[name] += 1


def lose_one(history: History, outcome: Outcome) -> None:
    outcome.log = outcome.log.slice(1)
    outcome.archive = outcome.log.select(IDENTITY)


def lose_one_in_the_archive_alone(history: History, outcome: Outcome) -> None:
    assert outcome.archive is not None
    outcome.archive = outcome.archive.slice(1)


def lose_one_in_the_totals_alone(history: History, outcome: Outcome) -> None:
    del outcome.sums[max(outcome.sums)]


def lose_a_rejected_one(history: History, outcome: Outcome) -> None:
    outcome.rejected.clear()


def reject_for_another_reason(history: History, outcome: Outcome) -> None:
    outcome.rejected = Counter({("bad_value", NONSENSE.original): 1})


def double_one_in_the_totals(history: History, outcome: Outcome) -> None:
    sums = outcome.sums[max(outcome.sums)]
    for name in COLUMNS:
        sums[name] *= 2


def double_one_in_the_books(history: History, outcome: Outcome) -> None:
    _count_one_more(outcome, "applied")


def invent_one(history: History, outcome: Outcome) -> None:
    last = outcome.log.slice(len(outcome.log) - 1)
    invented = last.set_column(last.schema.get_field_index("value"), "value", pc.add(last["value"], 7))
    outcome.log = pa.concat_tables([outcome.log, invented])
    _count_one_more(outcome, "applied")


def swap_two_values(history: History, outcome: Outcome) -> None:
    values = outcome.log["value"].to_numpy().copy()
    other = int(np.flatnonzero(values != values[0])[0])
    values[[0, other]] = values[[other, 0]]
    outcome.log = outcome.log.set_column(outcome.log.schema.get_field_index("value"), "value", pa.array(values))


def swap_two_windows(history: History, outcome: Outcome) -> None:
    first, second = [key for key in sorted(outcome.sums) if key[0] == "CLUSTER"][40:42]
    outcome.sums[first], outcome.sums[second] = outcome.sums[second], outcome.sums[first]


def one_wh_off(history: History, outcome: Outcome) -> None:
    outcome.sums[max(outcome.sums)]["consumer_withdrawn_wh"] += 1


def books_off_at_one_poll(history: History, outcome: Outcome) -> None:
    history.books.insert(1, BooksSeen(0.15, outcome.books | {"received": outcome.books["received"] - 1}))


def books_that_do_not_balance_at_the_end(history: History, outcome: Outcome) -> None:
    outcome.books["pending"] += 1


def received_goes_back(history: History, outcome: Outcome) -> None:
    history.books.append(history.books[0])


def revision_goes_back(history: History, outcome: Outcome) -> None:
    history.rows.append(replace_row(history.rows[-1], revision=1))


def known_at_goes_back(history: History, outcome: Outcome) -> None:
    history.rows.append(replace_row(history.rows[-1], known_at="2026-01-01T00:00:01Z"))


def closed_window_changes_in_silence(history: History, outcome: Outcome) -> None:
    history.rows.append(replace_row(history.rows[-1], figures="4"))


def revision_is_overwritten(history: History, outcome: Outcome) -> None:
    outcome.revisions[RevisionKey(1, 900, 0, 2)] = RevisionRow(2.0, "another")


def revision_vanishes(history: History, outcome: Outcome) -> None:
    del outcome.revisions[RevisionKey(2, 900, 0, 3)]


def revision_is_left_out(history: History, outcome: Outcome) -> None:
    for revisions in (history.revisions, outcome.revisions):
        del revisions[RevisionKey(1, 0, 0, 2)]


def revision_is_known_too_early(history: History, outcome: Outcome) -> None:
    for revisions in (history.revisions, outcome.revisions):
        revisions[RevisionKey(1, 0, 0, 3)] = RevisionRow(1.5, "3")


def replace_row(row: RowSeen, **changes: object) -> RowSeen:
    return RowSeen(**(row._asdict() | {"at_s": row.at_s + 1} | changes))


SLIPS: dict[Slip, str] = {
    lose_one: "acknowledged and in neither log nor rejected",
    lose_one_in_the_archive_alone: "in the log and not in the archive",
    lose_one_in_the_totals_alone: "the service has None",
    lose_a_rejected_one: "not among the rejected",
    reject_for_another_reason: "not among the rejected, or not for malformed",
    double_one_in_the_totals: "recomputed",
    double_one_in_the_books: "but log and rejected hold",
    invent_one: "though nobody sent it",
    swap_two_values: "acknowledged and in neither log nor rejected",
    swap_two_windows: "recomputed",
    one_wh_off: "recomputed",
    books_off_at_one_poll: "do not balance at 0.1",
    books_that_do_not_balance_at_the_end: "do not balance at the end",
    received_goes_back: "received went back",
    revision_goes_back: "revision went back from 2 to 1",
    known_at_goes_back: "known_at went back",
    closed_window_changes_in_silence: "changed without a new revision",
    revision_is_overwritten: "is RevisionRow(known_at_s=2.0, digest='another')",
    revision_vanishes: "is None",
    revision_is_left_out: "follows",
    revision_is_known_too_early: "is known before",
}


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
def test_each_slip_is_told(clean: tuple[History, Outcome, PlainTopology], slip: Slip) -> None:
    history, outcome, topology = clean
    history = copy.deepcopy(history)
    outcome = replace(
        outcome,
        rejected=outcome.rejected.copy(),
        books=copy.deepcopy(outcome.books),
        sums=copy.deepcopy(outcome.sums),
        revisions=dict(outcome.revisions),
    )
    slip(history, outcome)
    found = problems(history, outcome, topology)
    assert any(SLIPS[slip] in problem for problem in found), found
    assert len(found) <= 12, "one slip, and everything is said to be wrong"
