"""Judges a whole run from the design alone: was anything lost, counted twice, shown wrong, or changed in silence?

`problems` takes a `History` and an `Outcome` and says what is wrong, in words; nothing wrong is an empty list. It knows
no service and no table: the totals come from the independent recomputation beside the end-to-end tests. It is tested
itself (tests/unit/test_fault_checker.py): one reading lost, doubled or off by one Wh, and it has to say so.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from tests.end_to_end.compare import Comparison, compare_sums
from tests.end_to_end.recompute import recompute
from tests.end_to_end.recompute_topology import PlainTopology
from tests.faults.history import IDENTITY, Body, History, Outcome, RevisionKey

SHOWN = 5
"""Of one kind of trouble so many are named."""
OUTCOMES = ("applied", "unchanged", "pending")


def problems(history: History, outcome: Outcome, topology: PlainTopology) -> list[str]:
    """What is wrong with the run."""
    checks = (
        _deliveries(history.bodies, outcome),
        _rejections(history.bodies, outcome),
        _books_at_the_end(history, outcome),
        _totals(outcome, topology),
        _books_seen(history),
        _rows_seen(history),
        _revisions(history, outcome),
    )
    return [problem for check in checks for problem in check]


# --- nothing lost, nothing invented -------------------------------------------------------------------------------


def _deliveries(bodies: list[Body], outcome: Outcome) -> Iterator[str]:
    """Acknowledged ⊆ log ∪ rejected, log ⊆ sent, archive = log but for repetitions."""
    if not bodies:
        return
    log = outcome.log.select(IDENTITY)
    conflicts = _conflicts(outcome)
    sent = pa.concat_tables([body.readings for body in bodies])
    acknowledged = pa.concat_tables([body.readings for body in bodies if body.acknowledged] or [sent.slice(0, 0)])
    yield from _named("acknowledged and in neither log nor rejected", _without(acknowledged, log))
    yield from _named("in the log, though nobody sent it", _without(log, sent))
    if outcome.archive is not None:
        yield from _named("in the log and not in the archive", _without(_without(log, outcome.archive), conflicts))
        yield from _named("in the archive and not in the log", _without(outcome.archive, log))


def _conflicts(outcome: Outcome) -> pa.Table:
    """Repetitions of an instant and version with another value: compaction keeps the first of them only."""
    first = outcome.log.group_by(["meter", "register", "ts", "version"], use_threads=False).aggregate(
        [("value", "first")]
    )
    return _without(outcome.log.select(IDENTITY), first.rename_columns({"value_first": "value"}).select(IDENTITY))


def _without(left: pa.Table, right: pa.Table) -> pa.Table:
    """The rows of `left` that are not in `right`."""
    right = right.select(IDENTITY).cast(left.select(IDENTITY).schema)
    return left.select(IDENTITY).join(right, keys=IDENTITY, join_type="left anti")


def _named(what: str, table: pa.Table) -> Iterator[str]:
    if len(table):
        some = ", ".join(" ".join(str(cell) for cell in row.values()) for row in table.slice(0, SHOWN).to_pylist())
        yield f"{len(table)} readings {what}: {some}"


def _rejections(bodies: list[Body], outcome: Outcome) -> Iterator[str]:
    """Each delivery that has to be rejected is, with its reason and its bytes; only what was sent again may repeat."""
    least = Counter((r.reason, r.original) for body in bodies if body.acknowledged for r in body.refused)
    most = Counter((r.reason, r.original) for body in bodies for r in body.refused for _ in range(body.tries))
    found = Counter({key: n for key, n in outcome.rejected.items() if key[0] != "conflict"})
    for reason, original in islice((least - found).keys(), SHOWN):
        yield f"not among the rejected, or not for {reason}: {original[:200]!r}"
    for reason, original in islice((found - most).keys(), SHOWN):
        yield f"rejected for {reason}, but it was not sent so, or not so often: {original[:200]!r}"


def _books_at_the_end(history: History, outcome: Outcome) -> Iterator[str]:
    yield from _unbalanced("at the end", outcome.books)
    received, sent_most = outcome.books["received"], sum(body.deliveries * body.tries for body in history.bodies)
    if not history.acknowledged <= received <= sent_most:
        yield f"received is {received}, but {history.acknowledged} were acknowledged and {sent_most} sent in all tries"
    counted = len(outcome.log) + sum(n for (reason, _), n in outcome.rejected.items() if reason != "conflict")
    if received != counted:
        yield f"received is {received}, but log and rejected hold {counted}"
    conflicts = sum(n for (reason, _), n in outcome.rejected.items() if reason == "conflict")
    if outcome.books["rejected"].get("conflict", 0) != conflicts:
        yield f"the books have {outcome.books['rejected'].get('conflict', 0)} conflicts, {conflicts} are kept"


def _totals(outcome: Outcome, topology: PlainTopology) -> Iterator[str]:
    """Every zone and window equals the recomputation of what is in the log, in the log's order."""
    comparison: Comparison = compare_sums(outcome.sums, recompute(outcome.log.select(IDENTITY), topology))
    yield from comparison.differences[:SHOWN]
    if len(comparison.differences) > SHOWN:
        yield f"{len(comparison.differences)} windows differ in all"


# --- what was seen while it ran -----------------------------------------------------------------------------------


def _unbalanced(when: str, books: dict[str, Any]) -> Iterator[str]:
    handled = sum(books[name] for name in OUTCOMES) + sum(books["rejected"].values())
    if books["received"] != handled or books["difference"] != 0:
        yield f"the books do not balance {when}: {books}"


def _books_seen(history: History) -> Iterator[str]:
    """At every poll the books balance, and no count of what was handled goes back."""
    before: dict[str, Any] | None = None
    for at_s, books in history.books:
        yield from _unbalanced(f"at {at_s:.1f} s", books)
        if before is not None and books["received"] < before["received"]:
            yield f"received went back at {at_s:.1f} s: from {before['received']} to {books['received']}"
        before = books


def _rows_seen(history: History) -> Iterator[str]:
    """Seen from outside: revisions and `known_at` never go back, and a closed window changes with a new one only."""
    newest: dict[tuple[str, str], Any] = {}
    for row in history.rows:
        before = newest.get((row.zone, row.window_start))
        where = f"{row.zone} {row.window_start} at {row.at_s:.1f} s"
        if before is not None:
            if row.revision < before.revision:
                yield f"{where}: revision went back from {before.revision} to {row.revision}"
            if row.known_at < before.known_at:
                yield f"{where}: known_at went back from {before.known_at} to {row.known_at}"
            closed = row.status != "open" and before.status != "open"
            if closed and row.revision == before.revision and row.figures != before.figures:
                yield f"{where}: changed without a new revision: {before.figures} became {row.figures}"
        newest[row.zone, row.window_start] = row


def _revisions(history: History, outcome: Outcome) -> Iterator[str]:
    """No revision is overwritten or vanishes, none is left out, and each is known later than the one before."""
    for key, seen in history.revisions.items():
        if outcome.revisions.get(key) != seen:
            yield f"{key} was {seen}, is {outcome.revisions.get(key)}"
    before: RevisionKey | None = None
    for key in sorted(outcome.revisions):
        previous = before if before is not None and before[:3] == key[:3] else None
        if key.revision != (1 if previous is None else previous.revision + 1):
            yield f"{key} follows {before}"
        if previous is not None and outcome.revisions[key].known_at_s < outcome.revisions[previous].known_at_s:
            yield f"{key} is known before {previous}"
        before = key
