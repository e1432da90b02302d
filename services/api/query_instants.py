"""Instants in a query: ISO 8601 with an offset, forgiving only where nothing can be mistaken."""

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.instants import parse_instant
from shared.limits import EARLIEST_INSTANT_S
from shared.problem import Problem

LATEST_INSTANT_S = 4_102_444_800
"""2100-01-01T00:00:00Z: a query beyond it is a slip of the pen."""

# In a query string a bare `+` means a space: `…T10:00:00+02:00` arrives as `…T10:00:00 02:00`.
_PLUS_LOST = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?) (\d{2}(?::?\d{2})?)", re.ASCII)
_FRACTION = re.compile(r"[.,](\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QueryInstant:
    """An instant of a query, as exact as it was given."""

    floor_s: int
    """Whole seconds since 1970, not after it."""
    microseconds: int
    """The whole microseconds beyond `floor_s`."""
    finer: bool
    """Whether it lies beyond those microseconds."""

    @property
    def ceiling_s(self) -> int:
        """The first whole second that is not before it: starts from it on are starts from this on."""
        return self.floor_s + (1 if self.microseconds or self.finer else 0)

    @property
    def floor_us(self) -> int:
        """Whole microseconds since 1970, not after it: of instants in whole microseconds it has the same before it."""
        return self.floor_s * 1_000_000 + self.microseconds


def parse_query_instant(name: str, text: str) -> QueryInstant:
    """The instant in parameter `name`.

    Raises Problem 422 when `text` is no ISO 8601 instant, has no offset, or lies outside 2000 … 2100.
    """
    lost = _PLUS_LOST.fullmatch(text)
    whole = f"{lost[1]}+{lost[2]}" if lost else text
    try:
        floor_s = parse_instant(whole)
    except ValueError as error:
        raise Problem(422, f"`{name}`: {error}. In a query string write `+` as %2B, or use Z.") from error
    if not EARLIEST_INSTANT_S <= floor_s <= LATEST_INSTANT_S:
        raise Problem(422, f"`{name}` must lie between the years 2000 and 2100, not at {text[:64]}.")
    fraction = _FRACTION.search(whole)
    digits = fraction[1] if fraction else ""
    return QueryInstant(floor_s, int(digits[:6].ljust(6, "0")), bool(digits[6:].strip("0")))


def parse_time_zone(text: str) -> ZoneInfo:
    """The time zone named `text` in the IANA list. Raises Problem 422 when there is none."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Problem(422, f"`tz`: {text[:64]!r} is no time zone; write one like Europe/Warsaw.") from error
