"""Buckets of windows: local days of 92, 96 and 100 quarters, hours and months, in any zone and range."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.balance.windows import Resolution, bucket_edges, quarters_between, window_status
from shared.instants import format_instant, parse_instant
from shared.words import Status

WARSAW = ZoneInfo("Europe/Warsaw")
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Warsaw",
        "UTC",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/Havana",
        "Africa/Cairo",
        "Pacific/Apia",
        "America/St_Johns",
        "Atlantic/Azores",
    )
]
FIRST_S, LAST_S = parse_instant("2000-01-02T00:00:00Z"), parse_instant("2099-12-30T00:00:00Z")


def edges(resolution: Resolution, from_: str, to: str, zone: ZoneInfo = WARSAW) -> list[str]:
    found = bucket_edges(resolution, zone, parse_instant(from_), parse_instant(to))
    return [format_instant(int(edge)) for edge in found]


@pytest.mark.parametrize(
    ("day", "quarters"),
    [("2026-10-25", 100), ("2027-03-28", 92), ("2026-03-29", 92), ("2027-10-31", 100), ("2026-05-04", 96)],
)
def test_a_local_day_has_all_its_quarters(day: str, quarters: int) -> None:
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), WARSAW)
    found = bucket_edges(Resolution.DAY, WARSAW, int(noon.timestamp()), int(noon.timestamp()) + 1)
    assert len(quarters_between(int(found[0]), int(found[1]))) == quarters


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    found = edges(Resolution.HOUR, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z")
    assert found == [f"2026-10-25T0{hour}:00:00Z" for hour in range(4)]


def test_hours_begin_with_the_local_clock() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead
    found = edges(Resolution.HOUR, "2026-05-04T10:00:00Z", "2026-05-04T11:30:00Z", kathmandu)
    assert found == ["2026-05-04T10:15:00Z", "2026-05-04T11:15:00Z", "2026-05-04T12:15:00Z"]


def test_only_starts_within_the_range_count_each_for_its_whole_span() -> None:
    assert edges(Resolution.MONTH, "2026-01-31T22:59:59Z", "2026-03-31T22:00:00Z") == [
        "2026-01-31T23:00:00Z",
        "2026-02-28T23:00:00Z",
        "2026-03-31T22:00:00Z",
    ]
    assert edges(Resolution.QUARTER, "2026-05-04T10:00:01Z", "2026-05-04T10:15:01Z") == [
        "2026-05-04T10:15:00Z",
        "2026-05-04T10:30:00Z",
    ]
    assert edges(Resolution.DAY, "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z") == []
    assert edges(Resolution.HOUR, "2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z") == []


@given(
    st.sampled_from(list(Resolution)),
    st.sampled_from(ZONES),
    st.integers(FIRST_S, LAST_S),
    st.integers(1, 40 * 86400),
)
def test_edges_are_where_a_local_clock_says(resolution: Resolution, zone: ZoneInfo, from_s: int, span_s: int) -> None:
    found = bucket_edges(resolution, zone, from_s, from_s + span_s)
    inside = [
        quarter for quarter in range(-(-from_s // 900) * 900, from_s + span_s, 900) if begins(resolution, zone, quarter)
    ]
    assert found[:-1].tolist() == inside
    if inside:
        end = next(
            quarter
            for quarter in range(inside[-1] + 900, inside[-1] + 33 * 86400, 900)
            if begins(resolution, zone, quarter)
        )
        assert found[-1] == end
        assert max(np.diff(found)) // 900 <= resolution.quarters_max


def begins(resolution: Resolution, zone: ZoneInfo, quarter_s: int) -> bool:
    """Whether a row begins at this quarter, by the local clock alone: the slow specification."""
    local = datetime.fromtimestamp(quarter_s, zone)
    before = datetime.fromtimestamp(quarter_s - 900, zone)
    if resolution is Resolution.QUARTER:
        return True
    if resolution is Resolution.HOUR:
        return local.minute == 0
    if resolution is Resolution.DAY:
        return local.date() > before.date() and not _day_seen(zone, quarter_s, local.date())
    return (local.year, local.month) > (before.year, before.month) and not _day_seen(zone, quarter_s, local.date())


def _day_seen(zone: ZoneInfo, quarter_s: int, day: date) -> bool:
    """Whether the local clock had shown `day` already, before it was put back over midnight."""
    return any(datetime.fromtimestamp(quarter_s - back * 900, zone).date() == day for back in range(1, 9))


@given(st.integers(FIRST_S // 900, LAST_S // 900), st.integers(-86400, 10 * 86400))
def test_status_only_settles(window: int, after_s: int) -> None:
    start_s = window * 900
    order = list(Status)
    before, after = window_status(start_s, start_s + after_s), window_status(start_s, start_s + after_s + 3600)
    assert order.index(before) <= order.index(after)
    assert (window_status(start_s, start_s + 899), window_status(start_s, start_s + 900)) == (
        Status.OPEN,
        Status.PROVISIONAL,
    )
    local = datetime.fromtimestamp(start_s, UTC).astimezone(WARSAW)
    final = datetime.combine(local.date() + timedelta(days=7), datetime.min.time(), WARSAW)
    assert window_status(start_s, int(final.timestamp())) is Status.FINAL
    assert window_status(start_s, int(final.timestamp()) - 1) is Status.PROVISIONAL
