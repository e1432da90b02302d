"""Instants and windows: whole seconds since 1970 in UTC inside, ISO 8601 outside. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.limits import QUARTER_S

WARSAW = ZoneInfo("Europe/Warsaw")

_ISO_WITH_OFFSET = re.compile(
    # No hour 24, no minute or second 60: versions of Python differ on them, also in an offset.
    r"\d{4}-\d{2}-\d{2}[Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?([Zz]|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)",
    re.ASCII,
)


def parse_instant(text: str) -> int:
    """The instant in `text`, ISO 8601 with an offset, as whole seconds since 1970 (a finer one is floored).

    Raises ValueError when it is not of that form, has no offset, or names no real instant.
    """
    if not _ISO_WITH_OFFSET.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not an ISO 8601 instant with an offset, like 2026-05-01T10:15:00Z")
    normal = re.sub(r"([.,]\d+)", "", text.upper())  # without its fraction an instant is floored
    try:
        moment = datetime.fromisoformat(normal)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:64]!r} is no instant: {error}") from error


def format_instant(instant_s: int) -> str:
    """`instant_s`, seconds since 1970, as `2026-05-01T10:15:00Z`."""
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def window_start(instant_s: int) -> int:
    """The start of the window that holds `instant_s` (start ≤ t < end)."""
    return instant_s // QUARTER_S * QUARTER_S


def local_midnight(day: date, zone: ZoneInfo = WARSAW) -> int:
    """The instant at which `day` begins in `zone`."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def local_day(instant_s: int, zone: ZoneInfo = WARSAW) -> date:
    """The local day of `instant_s` in `zone`."""
    return datetime.fromtimestamp(instant_s, zone).date()


def final_from(window_start_s: int) -> int:
    """When a window becomes `final`: 00:00 Europe/Warsaw of D+7, D being its local day (design rule 9)."""
    return local_midnight(local_day(window_start_s) + timedelta(days=7))
