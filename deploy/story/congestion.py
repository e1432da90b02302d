"""The story of a congestion: noon PV pushes a station's transformer backwards past its limit, and flexibility holds it.

The week goes by as fast as it can, for history; then it comes again, and its Wednesday is told. In the morning the DSO
buys room: storages give energy before the sun would fill them. Amber by the forecast, then red: a transformer stands
an hour of that, then the DSO asks and orders, storages charge and PV is curtailed, green again, delivery is measured.
"""

import asyncio
import csv
from pathlib import Path

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from deploy.demo_week import endless_weeks
from deploy.replay.ahead import read_ahead
from deploy.replay.sender import ReadingSender, encode_lanes
from deploy.running_system import RunningSystem
from deploy.story.dispatch_topic import follow_setpoints
from deploy.story.dso import Document, Dso, clock_of
from deploy.story.following_assets import FollowingAssets, SimulatedAsset
from deploy.story.stretches import Stretch, in_stretches, whole_instants
from shared.instants import parse_instant

STATION = "LV1.101"
_HISTORY_UNTIL_S = parse_instant("2016-06-15T04:00:00Z")
_ROOM_FROM_S, _ROOM_TO_S = parse_instant("2016-06-15T05:30:00Z"), parse_instant("2016-06-15T07:30:00Z")
_ROOM_KW = 60
_ROOM_ASKED_S = parse_instant("2016-06-15T04:45:00Z")
"""Some readings after the fast stretch: every asset is heard again."""
_ASKS_AT_S = parse_instant("2016-06-15T11:00:00Z")
_RELIEF_FROM_S, _RELIEF_TO_S = parse_instant("2016-06-15T11:15:00Z"), parse_instant("2016-06-15T14:45:00Z")
_STRETCHES = [
    Stretch(_HISTORY_UNTIL_S, None),
    Stretch(_ROOM_FROM_S, 180.0),
    Stretch(parse_instant("2016-06-15T08:30:00Z"), 600.0),
    Stretch(parse_instant("2016-06-15T11:30:00Z"), 180.0),
    Stretch(parse_instant("2016-06-15T16:00:00Z"), 360.0),
    Stretch(None, 900.0),
]
_SAYS = [
    "nine days go by as fast as they can: history for forecast and baseline …",
    "Wednesday, three minutes a second …",
    "the morning, ten minutes a second …",
    "towards noon, three minutes a second …",
    "the afternoon, six minutes a second …",
    "the week goes on, a quarter of an hour a second. Ctrl-C ends it.",
]
_WAIT_S = 300.0
"""Nothing in the story takes longer, on a machine that has the time."""


async def tell(system: RunningSystem, rural_week: Path) -> None:
    """Feeds the readings and tells the story, until cancelled. The last line of it on standard output is JSON.

    Raises BilansError when something of it does not come.
    """
    console = Console(stderr=True, highlight=False)
    assets = _assets_of(rural_week)
    async with httpx.AsyncClient(base_url=system.api, timeout=30) as api:
        dso = Dso(api, STATION, _HISTORY_UNTIL_S, lambda line: console.print(f"  {line}", soft_wrap=True))

        def note(order: str, setpoints: int) -> None:
            console.print(f"       the assets took {setpoints} set-points of {order} and acknowledged them")

        beside = [
            asyncio.create_task(_feed(system, rural_week, assets, console)),
            asyncio.create_task(follow_setpoints(system.kafka, api, assets, note)),
            asyncio.create_task(dso.watch()),
        ]
        telling = asyncio.create_task(_tell(dso, console))
        try:
            await _first_fault(telling, beside)
        finally:
            for task in (telling, *beside):
                task.cancel()
            await asyncio.gather(telling, *beside, return_exceptions=True)


async def _tell(dso: Dso, console: Console) -> None:
    await dso.wait_until(_ROOM_ASKED_S, _WAIT_S)
    room = await dso.ask_and_order("up", _ROOM_KW, _ROOM_FROM_S, _ROOM_TO_S, "room in the storages for noon")
    await dso.wait_for("red", _WAIT_S)
    await dso.wait_until(_ASKS_AT_S, _WAIT_S)
    relief_kw = await dso.relief_kw(_RELIEF_FROM_S, _RELIEF_TO_S)
    relief = await dso.ask_and_order(
        "down", relief_kw, _RELIEF_FROM_S, _RELIEF_TO_S, "the transformer was overloaded for an hour"
    )
    await dso.wait_for("green", _WAIT_S)
    orders = [await dso.verified(order["id"], _WAIT_S) for order in (room, relief)]
    for order in orders:
        _show(order, console)
    told = {"story": "congestion", "zone": STATION, "states": dso.states, "orders": orders}
    print(orjson.dumps(told).decode(), flush=True)


async def _first_fault(telling: "asyncio.Task[None]", beside: list["asyncio.Task[None]"]) -> None:
    """Waits as long as the tasks beside run; raises what ends one, or the telling."""
    waiting = {telling, *beside}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _feed(system: RunningSystem, rural_week: Path, assets: FollowingAssets, console: Console) -> None:
    stop = asyncio.Event()  # never set: this task is cancelled
    sender = ReadingSender(system.ingest, "", stop)
    weeks = whole_instants(read_ahead(endless_weeks(rural_week / "readings.parquet")))

    def begins(stretch: Stretch) -> None:
        console.print(f"  [dim]{_SAYS[_STRETCHES.index(stretch)]}[/dim]")

    try:
        async for chunk in in_stretches(weeks, _STRETCHES, stop, begins):
            # What is due now, by the set-points that have come by now.
            await sender.send(await asyncio.to_thread(encode_lanes, assets.follow(chunk)))
    finally:
        await sender.close()


def _assets_of(folder: Path) -> FollowingAssets:
    """The station's assets and its boundary meter, from the topology's files."""
    meters = {row["meter"]: row for row in _rows(folder / "meters.csv") if row["zone"] == STATION}
    (boundary,) = (row for row in meters.values() if row["kind"] == "boundary")
    assets = [
        SimulatedAsset(
            asset=row["asset"],
            meter=row["meter"],
            registers=_registers(meters[row["meter"]]),
            efficiency=float(row["efficiency"] or 1),
        )
        for row in _rows(folder / "assets.csv")
        if row["meter"] in meters
    ]
    return FollowingAssets(assets, boundary["meter"], _registers(boundary))


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _registers(row: dict[str, str]) -> frozenset[str]:
    return frozenset(row["registers"].split("|"))


def _show(order: Document, console: Console) -> None:
    """What was delivered, window by window."""
    period = f"{clock_of(order['from'])} to {clock_of(order['to'])}"
    baseline = order["baseline"]["method"]
    table = Table(title=f"{order['direction']} {order['kw']:g} kW, {period}: net kW of {STATION}; baseline {baseline}")
    for column in ("window", "baseline", "actual", "ordered", "delivered", "missing", "stage"):
        table.add_column(column, justify="right")
    for window in order["verification"]:
        figures = (window[f"{name}_kw"] for name in ("baseline", "actual", "ordered", "delivered", "deficiency"))
        table.add_row(clock_of(window["window_start"]), *(f"{figure:.1f}" for figure in figures), window["stage"])
    console.print(table)
