"""The methods of a baseline: by hand, against plain Python, and what must hold of all."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flexibility.baseline import (
    Estimate,
    forecast_before,
    meter_before,
    meter_before_after,
    mid_four_of_six,
    ten_of_ten,
)
from shared.flexibility.baseline_days import BEFORE, EventDays, History, event_days
from tests.unit.baseline_reference import PlainEvent

WARSAW = ZoneInfo("Europe/Warsaw")
DAYS = 46


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=WARSAW).timestamp())


def history_of(values: dict[int, int]) -> History:
    first, last = min(values), max(values)
    net = np.zeros((last - first) // 900 + 1, np.int64)
    usable = np.zeros(len(net), np.bool_)
    for start, value in values.items():
        net[(start - first) // 900], usable[(start - first) // 900] = value, True
    return History(first, net, usable)


def flat_days(first_day: str, until: str, of_day: Callable[[datetime], int]) -> dict[int, int]:
    """Windows from midnight on, each with what `of_day` says of its local start."""
    return {
        start: of_day(datetime.fromtimestamp(start, WARSAW)) for start in range(instant(first_day), instant(until), 900)
    }


def levels(estimate: Estimate | None) -> list[int]:
    assert estimate is not None
    found: list[int] = estimate.event_wh.tolist()
    return found


# Monday 4 May 2026 is the event's day: noon to 12:30, ordered at 11:00. Before it lie Friday 1 May and Sunday 3 May,
# both holidays, so the ten working days are 30 April back to 17 April.
FROM, TO, ORDERED = instant("2026-05-04T12:00"), instant("2026-05-04T12:30"), instant("2026-05-04T11:00")


def test_ten_of_ten_takes_working_days_and_moves_to_the_level_of_the_day() -> None:
    def of_day(moment: datetime) -> int:
        if moment.date().isoformat() == "2026-05-04":
            return 1300
        rest = moment.weekday() >= 5 or moment.date().isoformat() in ("2026-05-01", "2026-05-03")
        return 9999 if rest else 1000 + moment.day * (moment.hour == 12)

    days = event_days(history_of(flat_days("2026-03-20", "2026-05-04T11:00", of_day)), FROM, TO, DAYS)
    found = ten_of_ten(days, 0, ORDERED)
    assert found is not None
    assert [day.isoformat() for day in found.days] == [
        f"2026-04-{day}" for day in (30, 29, 28, 27, 24, 23, 22, 21, 20, 17)
    ]
    assert (found.adjustment_wh, found.adjustment_windows) == (300, 12)
    assert levels(found) == [1000 + 24 + 300] * 2  # the mean of those days of the month is 24.1
    assert found.after_wh[0] == 1324 and found.after_wh[2:4] == (1300, 1300)


def test_the_level_is_not_taken_from_windows_that_end_after_the_order() -> None:
    values = flat_days("2026-03-20", "2026-05-04T12:00", lambda moment: 1000 + 300 * (moment.month == 5))
    days = event_days(history_of(values), FROM, TO, DAYS)
    early = ten_of_ten(days, 0, instant("2026-05-04T08:59"))
    assert early is not None and (early.adjustment_wh, early.adjustment_windows) == (0, 0)  # three are too few
    known = ten_of_ten(days, 0, instant("2026-05-04T09:00"))
    assert known is not None and (known.adjustment_wh, known.adjustment_windows) == (300, 4)


def test_ten_of_ten_needs_five_days() -> None:
    values = flat_days("2026-04-24", "2026-05-04T11:00", lambda _: 1000)  # 24, 27, 28, 29, 30 April
    assert levels(ten_of_ten(event_days(history_of(values), FROM, TO, DAYS), 0, ORDERED)) == [1000, 1000]
    del values[instant("2026-04-24T12:15")]
    assert ten_of_ten(event_days(history_of(values), FROM, TO, DAYS), 0, ORDERED) is None


def test_mid_four_of_six_drops_the_highest_and_the_lowest_day() -> None:
    by_day = {30: 100, 29: 9000, 28: 200, 27: 300, 24: 400, 23: -5000, 22: 77_777}
    values = flat_days("2026-04-22", "2026-05-04T11:00", lambda moment: by_day.get(moment.day, 0) * (moment.hour == 12))
    found = mid_four_of_six(event_days(history_of(values), FROM, TO, DAYS), 0, ORDERED)
    assert levels(found) == [250, 250]
    assert found is not None and [day.day for day in found.days] == [30, 28, 27, 24]


def test_meter_before_is_the_mean_of_the_last_four_known_windows() -> None:
    values = {ORDERED - 900 * back: back for back in (1, 2, 4, 5, 6, 200)}
    found = meter_before(history_of(values), 2, ORDERED + 59)
    assert levels(found) == [3, 3]
    assert found is not None and [(ORDERED - start) // 900 for start in found.windows_s] == [5, 4, 2, 1]
    assert meter_before(history_of({ORDERED - 900 * 97: 5}), 2, ORDERED) is None


def test_a_mean_is_rounded_once_with_halves_up() -> None:
    assert levels(meter_before(history_of({ORDERED - 900: 2, ORDERED - 1800: -3}), 1, ORDERED)) == [0]
    assert levels(meter_before(history_of({ORDERED - 900: -2, ORDERED - 1800: -3}), 1, ORDERED)) == [-2]


def test_meter_before_and_after_joins_the_hours_around_a_past_event() -> None:
    values = flat_days("2026-05-03", "2026-05-04T11:00", lambda moment: 100 if moment.hour < 12 else 200)
    history = history_of(values)
    days = event_days(history, FROM, TO, 1)
    assert levels(meter_before_after(history, days, 1, FROM - 86400)) == [150, 150]
    assert meter_before_after(history, days, 0, FROM) is None


def test_the_forecast_is_the_one_that_stood_at_the_order() -> None:
    days = event_days(history_of({FROM: 0}), FROM, TO, 1)
    issued: list[int] = []

    def forecaster(known_until_s: int, start_s: np.ndarray) -> np.ndarray | None:
        issued.append(known_until_s)
        return start_s - FROM if start_s[-1] < TO else None

    found = forecast_before(days, 0, ORDERED, forecaster)
    assert levels(found) == [0, 900] and set(issued) == {ORDERED}
    assert found is not None and found.after_wh == (None,) * 16


@pytest.mark.parametrize(
    ("event", "day_before", "hours_apart"),
    [
        ("2026-03-29T12:00", "2026-03-28T12:00", 23),  # that night the clock went forward
        ("2026-10-25T12:00", "2026-10-24T12:00", 25),
        ("2026-10-26T02:15", "2026-10-25T02:15", 25),  # shown twice on the 25th: the first
    ],
)
def test_a_day_before_is_a_day_of_the_clock(event: str, day_before: str, hours_apart: int) -> None:
    start = instant(event)
    days = event_days(history_of({start: 0}), start, start + 900, 3)
    assert days.event_begins_s(0) == start
    assert days.event_begins_s(1) == instant(day_before) == start - hours_apart * 3600


def test_a_quarter_that_the_clock_skips_is_missing_on_that_day() -> None:
    start = instant("2026-03-30T02:15")
    values = {start - 900 * back: 1 for back in range(4 * 96)}
    days = event_days(history_of(values), start, start + 900, 2)
    assert days.whole_events(start).tolist() == [False, False, True]


def test_both_quarters_that_the_clock_shows_twice_have_the_one_of_the_day_before() -> None:
    start = instant("2026-10-25T02:00")
    days = event_days(history_of({start: 1}), start, start + 2 * 3600, 1)
    assert [(shown - start) // 900 for shown in days.start_s[0, days.event].tolist()] == list(range(8))
    assert days.start_s[1, days.event].tolist() == [start - 86400 + 900 * place for place in (0, 1, 2, 3, 0, 1, 2, 3)]


# --- against plain Python -----------------------------------------------------------------------------------------

# Around the changes of the clock, around Easter and the holidays of May, and in between.
event_starts = st.sampled_from(
    ["2026-03-29", "2026-03-30", "2026-04-08", "2026-05-04", "2026-10-25", "2026-10-27"]
).flatmap(lambda day: st.integers(0, 95).map(lambda place: instant(day) // 900 * 900 + place * 900))


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[int, int], int, int, int]:
    """Windows of 50 days with holes, an event, and when it is ordered."""
    start = draw(event_starts)
    end = start + 900 * draw(st.sampled_from([1, 3, 8, 96]))
    ordered = start - draw(st.sampled_from([0, 1, 1800, 3 * 3600, 5 * 3600, 30 * 3600]))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    starts = np.arange(start - 50 * 86400, end + 4 * 3600, 900)
    kept = np.flatnonzero(chance.random(len(starts)) > draw(st.sampled_from([0.0, 0.002, 0.2])))
    values = chance.integers(-(10**6), 10**6, len(kept))
    return dict(zip(starts[kept].tolist(), values.tolist(), strict=True)), start, end, ordered


def estimates(values: dict[int, int], start: int, end: int, ordered: int) -> list[list[int] | None]:
    history = history_of(values)
    days: EventDays = event_days(history, start, end, DAYS)
    windows = (end - start) // 900
    found = (ten_of_ten(days, 0, ordered), mid_four_of_six(days, 0, ordered), meter_before(history, windows, ordered))
    return [None if one is None else one.event_wh.tolist() for one in found]


@given(situations())
@settings(max_examples=60)
def test_the_methods_equal_plain_python(situation: tuple[dict[int, int], int, int, int]) -> None:
    values, start, end, ordered = situation
    plain = PlainEvent(list(range(start, end, 900)), ordered, values)
    assert estimates(values, start, end, ordered) == [plain.ten_of_ten(), plain.mid_four_of_six(), plain.meter_before()]


@given(situations(), st.integers(-(10**9), 10**9))
@settings(max_examples=60)
def test_what_ends_after_the_order_changes_nothing(situation: tuple[dict[int, int], int, int, int], other: int) -> None:
    values, start, end, ordered = situation
    changed = {at: other if at + 900 > ordered else value for at, value in values.items()}
    assert estimates(changed, start, end, ordered) == estimates(values, start, end, ordered)


def test_the_columns_before_the_event_are_four_hours_to_one() -> None:
    days = event_days(history_of({FROM: 0}), FROM, TO, 0)
    assert [(FROM - start) // 900 for start in days.start_s[0, BEFORE].tolist()] == list(range(16, 4, -1))
