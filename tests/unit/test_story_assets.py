"""Simulated assets: what their meters and the station's boundary meter read when they follow set-points."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pyarrow as pa

from deploy.story.following_assets import FollowingAssets, Setpoint, SimulatedAsset
from deploy.story.stretches import Stretch, in_stretches, whole_instants

T0 = 1_465_300_800
BOTH = frozenset({"1.8.0", "2.8.0"})


def assets() -> FollowingAssets:
    storage = SimulatedAsset("A-S", "S", frozenset({"1.8.0", "2.8.0", "soc"}), 0.9)
    plant = SimulatedAsset("A-P", "P", frozenset({"2.8.0"}), 1.0)
    return FollowingAssets([storage, plant], "B", BOTH)


def readings(*rows: tuple[str, str, int, int]) -> pa.RecordBatch:
    """Meter, register, quarter, value."""
    meter, register, quarter, value = zip(*rows, strict=True)
    return pa.record_batch(
        {
            "meter": pa.array(meter).dictionary_encode(),
            "register": pa.array(register).dictionary_encode(),
            "ts": pa.array([T0 + 900 * number for number in quarter], pa.timestamp("s", tz="UTC")),
            "value": pa.array(value),
        }
    )


def quarter(number: int) -> pa.RecordBatch:
    """The storage rests with 5 kWh, the plant injects 1,000 Wh a quarter, 700 of it go out of the station."""
    return readings(
        ("B", "1.8.0", number, 50),
        ("B", "2.8.0", number, 700 * number),
        ("S", "1.8.0", number, 10),
        ("S", "2.8.0", number, 20),
        ("S", "soc", number, 5_000),
        ("P", "2.8.0", number, 1_000 * number),
        ("other", "1.8.0", number, 300 * number),
    )


def values(chunk: pa.RecordBatch) -> list[int]:
    found: list[int] = chunk.column("value").to_pylist()
    return found


def test_without_a_set_point_nothing_changes() -> None:
    following = assets()
    for number in range(3):
        assert following.follow(quarter(number)).equals(quarter(number))


def test_a_storage_charges_and_a_plant_is_curtailed_once() -> None:
    following = assets()
    following.follow(quarter(0))
    assert following.take(Setpoint("A-S", T0, -400, 0))
    assert following.take(Setpoint("A-P", T0, -500, 0))
    assert not following.take(Setpoint("elsewhere", T0, -500, 0))
    # 400 Wh into the storage, 360 of them stored; 500 Wh less from the plant; at the boundary 900 Wh, 700 of them on
    # what went out and the rest on what comes in.
    assert values(following.follow(quarter(1))) == [250, 0, 410, 20, 5_360, 500, 300]
    # Registers keep what happened; without another set-point the flows are as before.
    assert values(following.follow(quarter(2))) == [250, 700, 410, 20, 5_360, 1_500, 600]


def test_a_plant_cannot_be_curtailed_below_nothing_and_the_boundary_sees_what_was_made() -> None:
    following = assets()
    following.follow(quarter(0))
    following.take(Setpoint("A-P", T0, -5_000, 0))
    assert values(following.follow(quarter(1))) == [350, 0, 10, 20, 5_000, 0, 300]


def test_a_discharging_storage_gives_and_a_newer_revision_takes_back() -> None:
    following = assets()
    following.follow(quarter(0))
    following.take(Setpoint("A-S", T0, 250, 0))
    following.take(Setpoint("A-S", T0 + 900, 250, 0))
    following.take(Setpoint("A-S", T0 + 900, 0, 1))
    following.take(Setpoint("A-S", T0 + 900, 250, 0))  # the first message once more
    assert values(following.follow(quarter(1))) == [50, 950, 10, 270, 4_750, 1_000, 300]
    assert values(following.follow(quarter(2))) == [50, 1_650, 10, 270, 4_750, 2_000, 600]


async def stream(*chunks: pa.RecordBatch) -> AsyncIterator[pa.RecordBatch]:
    for chunk in chunks:
        yield chunk


async def test_no_instant_is_divided() -> None:
    whole = pa.Table.from_batches([quarter(0), quarter(1), quarter(2)]).combine_chunks().to_batches()[0]
    cut = [whole.slice(0, 5), whole.slice(5, 6), whole.slice(11)]
    found = [part.to_pylist() async for part in whole_instants(stream(*cut))]
    assert [row for part in found for row in part] == whole.to_pylist()
    for before, after in pairwise(found):
        assert before[-1]["ts"] < after[0]["ts"]


async def test_stretches_follow_one_another_without_loss() -> None:
    begun: list[int | None] = []
    stretches = [Stretch(T0 + 900, None), Stretch(None, 100_000.0)]
    parts = in_stretches(
        stream(quarter(0), quarter(1), quarter(2)), stretches, asyncio.Event(), lambda one: begun.append(one.until_s)
    )
    found = [row async for part in parts for row in part.to_pylist()]
    assert found == [row for number in range(3) for row in quarter(number).to_pylist()]
    assert begun == [T0 + 900, None]
