"""A topology's arrays are what its tables say, whatever else the identities hold and in whatever order."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shared.balance.placement import place
from shared.topology.assemble import StoredTopology, assemble, places
from shared.words import REGISTERS

_TEXT = pa.dictionary(pa.int32(), pa.string())
_ZONES, _MEMBERS = 4, ("", "m")


@st.composite
def stored_topologies(draw: st.DrawFn) -> dict[str, Any]:
    """Meters 1 … n of which some are in the topology, with one to three rows; all as plain lists of tuples."""
    count = draw(st.integers(1, 8))
    names = draw(st.permutations([f"meter-{number}" for number in range(count)]))
    meters = [(number + 1, names[number], draw(st.integers(0, 2))) for number in range(count)]
    rows = []
    for meter_id, _, _ in meters:
        for since in range(draw(st.integers(0, 3))):
            zone, kind = draw(st.integers(1, _ZONES)), draw(st.sampled_from(["consumer", "pv", "boundary"]))
            registers = "|".join(name for name in REGISTERS if draw(st.booleans())) or "1.8.0"
            rows.append(
                (meter_id, zone, kind, draw(st.sampled_from(_MEMBERS)), registers, 250, 100 * since, 100 * since + 50)
            )
    named = {
        (meter_id, REGISTERS.index(name)) for meter_id, *_, registers, _, _, _ in rows for name in registers.split("|")
    }
    more = {(meter_id, draw(st.integers(0, len(REGISTERS) - 1))) for meter_id, _, _ in meters if draw(st.booleans())}
    next_slot = dict.fromkeys(range(3), 0)
    series = []
    for meter_id, register in draw(st.permutations(sorted(named | more))):
        home = meters[meter_id - 1][2]
        series.append((meter_id, register, next_slot[home]))
        next_slot[home] += 1
    exchanges = [(meter_id, register, 1000, 5, 3, False) for meter_id, register in sorted(named) if register < 2]
    return {"meters": draw(st.permutations(meters)), "rows": rows, "series": series, "exchanges": exchanges}


def stored(content: dict[str, Any]) -> StoredTopology:
    def table(rows: list[tuple[Any, ...]], **types: pa.DataType) -> pa.Table:
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in types]
        return pa.table(
            {name: pa.array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
        )

    whole, long = pa.int32(), pa.int64()
    zones = [(1, "CLUSTER", -1), (2, "B", 1), (3, "A", 1), (4, "C", 2)]
    zone_rows = [(zone_id, name, parent, "circuit", name, -1, -1, 0.0, 0.0) for zone_id, name, parent in zones]
    names = ("zone_id", "zone", "parent_id", "kind", "name", "import_limit_w", "export_limit_w", "lat", "lon")
    kinds = (whole, pa.string(), whole, pa.string(), pa.string(), long, long, pa.float64(), pa.float64())
    return StoredTopology(
        number=3,
        zones=table(zone_rows, **dict(zip(names, kinds, strict=True))),
        members=table(
            [("m", "M", "", False)], member=pa.string(), name=pa.string(), kind=pa.string(), excluded=pa.bool_()
        ),
        rows=table(
            content["rows"],
            meter_id=whole,
            zone_id=whole,
            kind=_TEXT,
            member=_TEXT,
            registers=_TEXT,
            max_wh=long,
            valid_from_s=long,
            valid_to_s=long,
        ),
        meters=table(content["meters"], meter_id=whole, meter=pa.string(), home_partition=pa.int16()),
        series=table(content["series"], meter_id=whole, register=pa.int8(), slot=whole),
        exchanges=table(
            content["exchanges"],
            meter_id=whole,
            register=pa.int8(),
            at_s=long,
            last_wh=long,
            first_wh=long,
            blank=pa.bool_(),
        ),
        assets=[],
    )


@given(stored_topologies())
def test_arrays_say_what_the_tables_say(content: dict[str, Any]) -> None:
    topology = assemble(stored(content))
    identity = {meter_id: (name, home) for meter_id, name, home in content["meters"]}
    slot = {(meter_id, register): slot for meter_id, register, slot in content["series"]}
    meter_ids = sorted({row[0] for row in content["rows"]})
    assert topology.zone == ["CLUSTER", "B", "C", "A"]
    assert topology.zone_parent.tolist() == [-1, 0, 1, 0]
    assert topology.meter_id.tolist() == meter_ids
    assert list(zip(topology.meter, topology.meter_home.tolist(), strict=True)) == [identity[one] for one in meter_ids]
    assert [meter_ids[meter] for meter in topology.row_meter.tolist()] == [row[0] for row in content["rows"]]
    assert topology.zone_id[topology.row_zone].tolist() == [row[1] for row in content["rows"]]
    assert topology.row_member == [row[3] for row in content["rows"]]
    assert topology.row_pool.tolist() == [row[3] == "m" for row in content["rows"]]
    named = sorted({(row[0], REGISTERS.index(name)) for row in content["rows"] for name in row[4].split("|")})
    series = list(
        zip(topology.meter_id[topology.series_meter].tolist(), topology.series_register.tolist(), strict=True)
    )
    assert series == named
    assert topology.series_slot.tolist() == [slot[one] for one in named]
    assert topology.series_partition.tolist() == [identity[meter_id][1] for meter_id, _ in named]
    assert [series[one] for one in topology.exchange_series.tolist()] == [row[:2] for row in content["exchanges"]]


@given(stored_topologies(), st.integers(0, 2))
def test_a_series_counts_where_the_rows_of_its_meter_name_its_register(content: dict[str, Any], partition: int) -> None:
    topology = assemble(stored(content))
    placement = place(topology, partition)
    home = {meter_id: home for meter_id, _, home in content["meters"]}
    found = {}
    for slot, register in enumerate(placement.register.tolist()):
        if register >= 0:
            some = slice(placement.first_place[slot], placement.first_place[slot + 1])
            zones = topology.zone_id[placement.zone[some]].tolist()
            meter_id = int(topology.meter_id[placement.meter[slot]])
            found[meter_id, register] = list(zip(zones, placement.valid_from_s[some].tolist(), strict=True))
    expected: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for meter_id, zone, _, _, registers, _, valid_from_s, _ in content["rows"]:
        if home[meter_id] == partition:
            for name in registers.split("|"):
                expected.setdefault((meter_id, REGISTERS.index(name)), []).append((zone, valid_from_s))
    assert found == expected
    exchanged = np.diff(placement.first_exchange) > 0
    energy = (placement.register >= 0) & (placement.register < 2)
    assert exchanged.tolist() == energy.tolist()


@given(st.lists(st.integers(-1, 40)), st.sets(st.integers(0, 30)))
def test_a_place_is_found_or_there_is_none(numbers: list[int], among: set[int]) -> None:
    order = list(among)
    expected = [order.index(number) if number in among else -1 for number in numbers]
    assert places(np.array(numbers, np.int32), np.array(order, np.int32)).tolist() == expected
