"""When a figure changes its stage, by the local clock, also where that clock changes."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.instants import final_from
from shared.stages import Stage, stage_of

WARSAW = ZoneInfo("Europe/Warsaw")


def instant_s(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=WARSAW).timestamp())


@pytest.mark.parametrize(
    ("now", "stage"),
    [
        ("2026-05-04T12:15", Stage.LIVE),
        ("2026-05-05T08:59:59", Stage.LIVE),
        ("2026-05-05T09:00", Stage.D1),
        ("2026-05-07T11:59:59", Stage.D1),
        ("2026-05-07T12:00", Stage.D3),
        ("2026-05-10T23:59:59", Stage.D3),
        ("2026-05-11T00:00", Stage.D7),
        ("2027-05-11T00:00", Stage.D7),
    ],
)
def test_the_stages_of_a_noon(now: str, stage: Stage) -> None:
    assert stage_of(instant_s("2026-05-04T12:00"), instant_s(now)) is stage


def test_the_day_is_the_local_one_and_the_hour_too() -> None:
    late = instant_s("2026-10-24T23:45")  # 21:45 in UTC; that night the clock goes back
    assert stage_of(late, instant_s("2026-10-25T08:59:59")) is Stage.LIVE
    assert stage_of(late, instant_s("2026-10-25T09:00")) is Stage.D1
    assert stage_of(late + 900, instant_s("2026-10-25T09:00")) is Stage.LIVE


windows = st.integers(1_000_000, 2_000_000).map(lambda number: number * 900)


@given(windows, st.integers(0, 10 * 86400), st.integers(0, 10 * 86400))
def test_a_stage_never_goes_back(window: int, first: int, more: int) -> None:
    order = list(Stage)
    assert order.index(stage_of(window, window + first)) <= order.index(stage_of(window, window + first + more))


@given(windows)
def test_the_last_stage_begins_where_the_balance_is_final(window: int) -> None:
    assert stage_of(window, final_from(window) - 1) is Stage.D3
    assert stage_of(window, final_from(window)) is Stage.D7
