"""What assets may give and take now, by their kinds: cases worked out by hand, and what must hold of all."""

from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.assets import UNLIMITED_WH
from shared.flexibility.due import DueTimes, next_local_time_s
from shared.flexibility.envelope import DURATIONS_S, held_down_w, held_up_w
from shared.instants import format_instant, parse_instant
from shared.words import AssetKind
from tests.unit.assets_of_rows import Row, assets_of

HOUR_S = 3600


def up_w(row: Row) -> list[int]:
    return [int(held_up_w(assets_of(row), duration_s)[0]) for duration_s in DURATIONS_S]


def down_w(row: Row) -> list[int]:
    return [int(held_down_w(assets_of(row), duration_s)[0]) for duration_s in DURATIONS_S]


def test_a_half_full_battery() -> None:
    """8 kW up, 6 kW down, 10 kWh, half full: up 8 / 5 / 1.25 and down 6 / 5 / 1.25 kW for 15 / 60 / 240 minutes."""
    battery = Row(up_kw="8", down_kw="6", energy_kwh="10", content_wh=5000)
    assert (up_w(battery), down_w(battery)) == ([8000, 5000, 1250], [6000, 5000, 1250])
    # The powers stand as they are, whatever goes through the meter, and whatever the meter's own limit.
    busy = Row(up_kw="8", down_kw="6", energy_kwh="10", content_wh=5000, withdrawn_w=6000, max_w=6000)
    assert (up_w(busy), down_w(busy)) == ([8000, 5000, 1250], [6000, 5000, 1250])


def test_reserve_and_efficiency_of_a_battery() -> None:
    reserved = Row(up_kw="8", down_kw="6", energy_kwh="10", reserve_kwh="4", efficiency="0.8", content_wh=5000)
    assert up_w(reserved) == [4000, 1000, 250]
    assert down_w(reserved) == [6000, 6000, 1562]  # 5 kWh of room take 6.25 kWh
    below = Row(up_kw="8", down_kw="6", energy_kwh="10", reserve_kwh="4", content_wh=3000)
    assert (up_w(below), down_w(below)) == ([0, 0, 0], [6000, 6000, 1750])
    overfull = Row(up_kw="8", down_kw="6", energy_kwh="10", content_wh=10_500)
    assert down_w(overfull) == [0, 0, 0]


def test_a_battery_whose_content_is_not_heard_holds_nothing() -> None:
    for row in (
        Row(up_kw="8", down_kw="6", energy_kwh="10"),
        Row(up_kw="8", down_kw="6", content_sent=True),
        Row(up_kw="8", down_kw="6", energy_kwh="10", content_wh=5000, heard=False),
    ):
        assert (up_w(row), down_w(row), assets_of(row).heard.tolist()) == ([0] * 3, [0] * 3, [False])
    endless = Row(up_kw="8", down_kw="6")  # no limit of energy, and no register of content
    assert (up_w(endless), down_w(endless), assets_of(endless).heard.tolist()) == ([8000] * 3, [6000] * 3, [True])


def test_a_car_waits_as_long_as_what_is_due_can_still_be_charged() -> None:
    """7 kW drawn of a charger of 11 kW, 40 kWh, 10 in it, 32 due in three hours: 33 kWh can come, 22 are due."""
    car = Row(
        "ev",
        up_kw="11",
        down_kw="11",
        energy_kwh="40",
        due_kwh="32",
        due_in_s=3 * HOUR_S,
        content_wh=10_000,
        withdrawn_w=7000,
    )
    assert int(assets_of(car).up_wh[0]) == 11_000
    assert up_w(car) == [7000, 7000, 2750]
    assert down_w(car) == [4000, 4000, 4000]  # its charger has 4 kW left
    late = Row("ev", up_kw="11", energy_kwh="40", due_kwh="32", due_in_s=HOUR_S, content_wh=10_000, withdrawn_w=7000)
    assert up_w(late) == [0, 0, 0]
    done = Row("ev", up_kw="11", energy_kwh="40", due_kwh="32", due_in_s=HOUR_S, content_wh=38_000, withdrawn_w=7000)
    assert up_w(done) == [7000, 2000, 500]  # it would take 2 kWh more, and leaves in an hour
    leaving = Row("ev", up_kw="11", energy_kwh="40", due_in_s=600, content_wh=10_000, withdrawn_w=6000)
    assert up_w(leaving) == [4000, 1000, 250]


def test_a_car_that_tells_no_content() -> None:
    car = Row("ev", up_kw="11", down_kw="7", energy_kwh="40", due_kwh="32", withdrawn_w=10_000)
    assert up_w(car) == [10_000, 8000, 2000]
    assert down_w(car) == [1000, 1000, 1000]
    idle = Row("ev", up_kw="11", down_kw="7", energy_kwh="40", due_kwh="32")
    assert (up_w(idle), down_w(idle)) == ([0, 0, 0], [7000, 7000, 2000])


def test_a_heat_pump_shifts_what_it_draws_within_its_energy() -> None:
    pump = Row("heatpump", up_kw="5", down_kw="4", energy_kwh="3", withdrawn_w=3500)
    assert (up_w(pump), down_w(pump)) == ([3500, 3000, 750], [4000, 3000, 750])
    assert down_w(Row("heatpump", down_kw="4", withdrawn_w=3500, max_w=6000)) == [2500] * 3


def test_a_biogas_plant_and_what_can_be_curtailed() -> None:
    plant = Row("biogas", up_kw="50", down_kw="100", injected_w=80_000, max_w=120_000)
    assert (up_w(plant), down_w(plant)) == ([40_000] * 3, [80_000] * 3)
    sun = Row("curtailable", down_kw="30", injected_w=12_000)
    assert (up_w(sun), down_w(sun)) == ([0] * 3, [12_000] * 3)
    strong = Row("curtailable", down_kw="30", injected_w=45_000)
    assert down_w(strong) == [30_000] * 3


def test_a_load_sheds_what_it_draws() -> None:
    assert up_w(Row("load", up_kw="20", withdrawn_w=15_000)) == [15_000] * 3
    assert up_w(Row("load", up_kw="20", energy_kwh="10", withdrawn_w=15_000)) == [15_000, 10_000, 2500]
    assert (up_w(Row("load", withdrawn_w=15_000)), down_w(Row("load", withdrawn_w=15_000))) == ([0] * 3, [0] * 3)


@pytest.mark.parametrize("kind", list(AssetKind))
def test_a_silent_meter_holds_nothing(kind: AssetKind) -> None:
    row = Row(kind, up_kw="9", down_kw="9", heard=False, withdrawn_w=5000, injected_w=5000, content_wh=100)
    assert (up_w(row), down_w(row), assets_of(row).heard.tolist()) == ([0] * 3, [0] * 3, [False])


kilowatts = st.none() | st.decimals(0, 30_000_000, places=3).map(str)
kilowatt_hours = st.none() | st.decimals(0, 30_000_000, places=3).map(str)
rows = st.builds(
    Row,
    kind=st.sampled_from([str(kind) for kind in AssetKind]),
    up_kw=kilowatts,
    down_kw=kilowatts,
    energy_kwh=kilowatt_hours,
    efficiency=st.none() | st.decimals("0.000001", 1, places=6).map(str),
    reserve_kwh=kilowatt_hours,
    due_kwh=kilowatt_hours,
    withdrawn_w=st.integers(0, 10**13),
    injected_w=st.integers(0, 10**13),
    content_wh=st.none() | st.integers(0, 10**13),
    content_sent=st.none(),
    heard=st.booleans(),
    due_in_s=st.integers(1, 90_000) | st.just(2**20),
    max_w=st.integers(0, 30_000_000_000),
)


@given(rows, st.sampled_from(DURATIONS_S))
def test_never_more_than_power_or_energy_allow(row: Row, duration_s: int) -> None:
    assets = assets_of(row)
    up, down = int(held_up_w(assets, duration_s)[0]), int(held_down_w(assets, duration_s)[0])
    terms = row.asset()
    assert 0 <= up <= 1000 * (terms.up_kw or 0)
    assert 0 <= down <= 1000 * (terms.down_kw or 0)
    content_wh = row.content_wh if row.heard else None
    if row.kind in ("storage", "ev") and content_wh is not None:
        efficiency = Fraction(terms.efficiency or 1)
        if terms.energy_kwh is not None:
            room_wh = max(Fraction(terms.energy_kwh) * 1000 - content_wh, Fraction(0)) / efficiency
            assert Fraction(down * duration_s, 3600) <= room_wh
    if row.kind == "storage" and content_wh is not None:
        spare_wh = max(content_wh - 1000 * Fraction(terms.reserve_kwh or 0), Fraction(0))
        assert Fraction(up * duration_s, 3600) <= spare_wh
    if row.kind in ("ev", "heatpump", "load"):
        assert up <= row.withdrawn_w
        assert down <= max(row.max_w - row.withdrawn_w, 0)
    if row.kind in ("biogas", "curtailable"):
        assert down <= row.injected_w
        assert up <= max(row.max_w - row.injected_w, 0)


@given(rows)
def test_a_battery_holds_the_exact_floor(row: Row) -> None:
    battery = Row(
        up_kw=row.up_kw,
        down_kw=row.down_kw,
        energy_kwh=row.energy_kwh or "10",
        efficiency=row.efficiency,
        reserve_kwh=row.reserve_kwh,
        content_wh=min(row.content_wh or 0, UNLIMITED_WH),
    )
    terms, assets = battery.asset(), assets_of(battery)
    spare_wh = max(Fraction(battery.content_wh or 0) - 1000 * Fraction(terms.reserve_kwh or 0), Fraction(0))
    room_wh = max(1000 * Fraction(terms.energy_kwh or 0) - (battery.content_wh or 0), Fraction(0))
    for duration_s in DURATIONS_S:
        up = min(int(1000 * (terms.up_kw or 0)), int(spare_wh * 3600 / duration_s))
        down = min(int(1000 * (terms.down_kw or 0)), int(room_wh / Fraction(terms.efficiency or 1) * 3600 / duration_s))
        assert int(held_up_w(assets, duration_s)[0]) == up
        assert int(held_down_w(assets, duration_s)[0]) == down


@given(st.lists(rows, min_size=1, max_size=12))
def test_longer_is_never_more(some: list[Row]) -> None:
    assets = assets_of(*some)
    for held in (held_up_w, held_down_w):
        short, middle, long = (held(assets, duration_s) for duration_s in DURATIONS_S)
        assert (short >= middle).all() and (middle >= long).all() and (long >= 0).all()


@pytest.mark.parametrize(
    ("now", "time", "then"),
    [
        ("2026-05-04T04:59:59Z", (7, 0), "2026-05-04T05:00:00Z"),
        ("2026-05-04T05:00:00Z", (7, 0), "2026-05-05T05:00:00Z"),
        ("2026-03-28T12:00:00Z", (7, 0), "2026-03-29T05:00:00Z"),  # a night of 23 hours
        ("2026-03-29T00:00:00Z", (2, 30), "2026-03-29T01:30:00Z"),  # a time that this day does not have
        ("2026-10-24T23:00:00Z", (2, 30), "2026-10-25T00:30:00Z"),  # a time that this day has twice
        ("2026-10-25T00:30:00Z", (2, 30), "2026-10-26T01:30:00Z"),
    ],
)
def test_the_next_time_of_day(now: str, time: tuple[int, int], then: str) -> None:
    assert format_instant(next_local_time_s(*time, parse_instant(now))) == then


@given(st.integers(0, 4_000_000_000), st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_comes_within_a_long_day(now_s: int, hour: int, minute: int) -> None:
    (due_in_s,) = DueTimes([f"{hour:02}:{minute:02}"]).due_in_s(now_s).tolist()
    assert 0 < due_in_s <= 26 * HOUR_S
    shown = datetime.fromtimestamp(now_s + due_in_s, ZoneInfo("Europe/Warsaw"))
    assert (shown.hour, shown.minute) == (hour, minute) or hour == 2  # summer time begins at 2
