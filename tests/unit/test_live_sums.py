"""The live figures on a case worked out by hand."""

from shared.balance.live import LiveColumn, live_zones
from tests.unit.small_topology import OTHER, STATION, TOWN
from tests.unit.test_partition import DAY, fresh, message


def figures(partition: object, zone: int, now_s: int) -> dict[str, int]:
    """A zone's live sums by name."""
    rows = live_zones(partition.memory, partition.placement, now_s)  # type: ignore[attr-defined]
    return {column.name: int(rows[zone, column]) for column in LiveColumn}


def test_power_is_the_slope_or_what_the_meter_sends_and_the_window_runs_on() -> None:
    partition = fresh()
    # load: 100 Wh in the quarter before, but says 800 W now; sun: 200 Wh in 15 min is 800 W; battery: charges 60 Wh.
    partition.apply(
        0,
        message(
            [
                (0, 0, 0),
                (0, 900, 100),
                (5, 900, 800),
                (1, 0, 0),
                (1, 900, 200),
                (2, 0, 0),
                (2, 900, 60),
                (3, 0, 0),
                (3, 900, 0),
                (4, 900, 5000),
            ]
        ),
    )
    now_s = DAY + 900 + 450
    station = figures(partition, STATION, now_s)
    assert (station["METERS"], station["HEARD"]) == (2, 2)
    assert (station["WITHDRAWN_W"], station["INJECTED_W"]) == (800, 800)
    assert (station["WITHDRAWN_WH"], station["WITHDRAWN_EXPECTED_WH"]) == (100, 200)  # 800 W for half, for all of it
    other = figures(partition, OTHER, now_s)
    assert (other["CHARGED_W"], other["DISCHARGED_W"], other["SOC_WH"], other["SOC_KNOWN"]) == (240, 0, 5000, 1)
    town = figures(partition, TOWN, now_s)
    assert (town["METERS"], town["WITHDRAWN_W"], town["CHARGED_W"], town["NEWEST_S"]) == (3, 800, 240, DAY + 900)


def test_a_meter_is_heard_for_two_cadences_and_a_minute() -> None:
    partition = fresh()
    partition.apply(0, message([(0, k * 300, k) for k in range(9)]))  # each 5 minutes
    newest_s = DAY + 8 * 300
    assert figures(partition, STATION, newest_s + 660)["HEARD"] == 1
    silent = figures(partition, STATION, newest_s + 661)
    assert (silent["HEARD"], silent["WITHDRAWN_W"], silent["METERS"]) == (0, 0, 2)
