"""Which rejected readings a command is about."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement

from shared.database.tables import rejected_reading
from shared.errors import BilansError
from shared.instants import parse_instant
from shared.topics import REJECTED
from shared.words import RejectReason


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters, all of which must hold; empty or None where nothing was asked."""

    numbers: tuple[int, ...] = ()
    """Offsets in `bilans.rejected`."""
    reasons: tuple[RejectReason, ...] = ()
    meter: str = ""
    since: datetime | None = None
    """Rejected at this instant or later …"""
    until: datetime | None = None
    """… and before this one."""

    @property
    def everything(self) -> bool:
        """Whether nothing was asked."""
        return self == Selection()

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filters as conditions on the table `rejected_reading`."""
        table = rejected_reading.c
        found = [table.topic == REJECTED]
        if self.numbers:
            found.append(table.log_offset.in_(self.numbers))
        if self.reasons:
            found.append(table.reason.in_([reason.value for reason in self.reasons]))
        if self.meter:
            found.append(table.meter == self.meter)
        if self.since is not None:
            found.append(table.rejected_at >= self.since)
        if self.until is not None:
            found.append(table.rejected_at < self.until)
        return found


def read_selection(
    numbers: list[int] | None = None,
    reasons: list[RejectReason] | None = None,
    meter: str = "",
    since: str = "",
    until: str = "",
) -> Selection:
    """The selection that the options of a command ask for. Raises BilansError where an instant is none."""
    return Selection(
        numbers=tuple(numbers or ()),
        reasons=tuple(reasons or ()),
        meter=meter,
        since=_instant("--since", since),
        until=_instant("--until", until),
    )


def _instant(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromtimestamp(parse_instant(text), UTC)
    except ValueError as error:
        raise BilansError(f"{option}: {error}.") from error
