"""Holds the books to themselves and to what they count (design rule 10). Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from deploy.verify.snapshot import Books
from shared.topics import READINGS, REJECTED

_RECEIVED = "received"
_PENDING = "pending"
_REJECTED = "rejected:"
_Hold: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BooksDifference:
    """A figure of the books that is not what it must be."""

    what: str
    found: int
    expected: int

    def __str__(self) -> str:
        """The difference in a line."""
        return f"{self.what}: found {self.found}, expected {self.expected}"


def check_books(books: Books, waiting: Mapping[int, int], archived: Mapping[int, int]) -> list[BooksDifference]:
    """Every figure that differs.

    `waiting` has the late readings that wait of each partition of the log, `archived` the deliveries in the archive of
    those where that is known.
    """
    found: list[BooksDifference] = []

    def hold(what: str, figure: int, expected: int) -> None:
        if figure != expected:
            found.append(BooksDifference(what, figure, expected))

    for (topic, partition), outcomes in books.entries.items():
        others = sum(number for outcome, number in outcomes.items() if outcome != _RECEIVED)
        hold(f"books of {topic}/{partition}, received against all outcomes", outcomes.get(_RECEIVED, 0), others)
    for partition, late in waiting.items():
        pending = books.entries.get((READINGS, partition), {}).get(_PENDING, 0)
        hold(f"books of {READINGS}/{partition}, pending against the late queue", pending, late)
    for partition, deliveries in archived.items():
        received = books.entries.get((READINGS, partition), {}).get(_RECEIVED, 0)
        hold(f"books of {READINGS}/{partition}, received against the archive", received, deliveries)
    _hold_rejected(books, hold)
    return found


def _hold_rejected(books: Books, hold: _Hold) -> None:
    """What ingest rejected: as many rows as the books say, reason by reason."""
    outcomes = books.entries.get((REJECTED, 0), {})
    reasons = {outcome.removeprefix(_REJECTED) for outcome in outcomes if outcome.startswith(_REJECTED)}
    for reason in sorted(reasons | set(books.rejected)):
        number = outcomes.get(_REJECTED + reason, 0)
        hold(f"books of {REJECTED}, {reason} against the rejected readings", number, books.rejected.get(reason, 0))
