"""What is known of a run: what was sent and answered, what a reader saw all the while, and what stands at the end."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

IDENTITY = ["meter", "register", "ts", "value", "version"]
"""The columns of a table of deliveries."""


@dataclass(frozen=True)
class Refused:
    """A delivery that has to be rejected: why, and its own bytes."""

    reason: str
    original: bytes


@dataclass(frozen=True)
class Body:
    """Deliveries that were sent together until they were acknowledged."""

    readings: pa.Table
    """Columns IDENTITY: the good ones, in their order."""
    refused: tuple[Refused, ...] = ()
    tries: int = 1
    """How often it was sent; all but the last had no answer or a refusal, and may have arrived or not."""
    acknowledged: bool = True

    @property
    def deliveries(self) -> int:
        """How many it holds."""
        return len(self.readings) + len(self.refused)


class BooksSeen(NamedTuple):
    """One answer of `/v1/audit`."""

    at_s: float
    books: dict[str, Any]


class RowSeen(NamedTuple):
    """One row of a zone's balance in one answer."""

    at_s: float
    zone: str
    window_start: str
    status: str
    revision: int
    known_at: str
    figures: str
    """All the rest of the row, as text."""


class RevisionKey(NamedTuple):
    """What identifies a row of `partial_revision`."""

    zone_id: int
    window_start_s: int
    partition: int
    revision: int


class RevisionRow(NamedTuple):
    """What such a row says."""

    known_at_s: float
    digest: str
    """Over all its columns."""


@dataclass
class History:
    """What was sent, and what was seen while it ran."""

    bodies: list[Body] = field(default_factory=list)
    books: list[BooksSeen] = field(default_factory=list)
    rows: list[RowSeen] = field(default_factory=list)
    revisions: dict[RevisionKey, RevisionRow] = field(default_factory=dict)
    """Each revision as it was when it was first seen."""

    @property
    def acknowledged(self) -> int:
        """Deliveries that were answered 202, or acknowledged by Kafka."""
        return sum(body.deliveries for body in self.bodies if body.acknowledged)


@dataclass
class Outcome:
    """What stands at the end, when nothing is under way any more."""

    log: pa.Table
    """`bilans.readings` in the order of the log: columns partition, log_offset, position and IDENTITY."""
    archive: pa.Table | None
    """All rows of the archive, columns IDENTITY; None where it has not got so far yet."""
    rejected: Counter[tuple[str, bytes]]
    """The rejected readings: how many of each (reason, original)."""
    books: dict[str, Any]
    """The last answer of `/v1/audit`."""
    sums: dict[tuple[str, int], dict[str, int]]
    """Each zone's and window's (start in seconds) sums over the partitions' rows."""
    revisions: dict[RevisionKey, RevisionRow]
    """All of `partial_revision`."""
