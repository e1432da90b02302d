"""Every kind of mistake in a topology folder is found, with file and line, and nothing else is."""

from pathlib import Path

import pytest

from shared.errors import BilansError
from shared.topology.check import check_folder
from shared.topology.rows import FolderContent, TopologyErrors

ZONES = """\
zone,parent,kind,name,import_limit_kw,export_limit_kw,lat,lon
C,,cluster,Cluster,,,49.6,19.2
G,C,gpz,,5000,5000,,
S,G,station,Station,10,10.5,,
L,S,circuit,,,,,
"""
MEMBERS = """\
member,name,kind,excluded
A,Gmina A,gmina,
P,A prosumer,prosumer,true
"""
METERS = """\
meter,zone,member,kind,registers,max_kw,valid_from,valid_to
load,L,A,consumer,1.8.0,20,,2026-05-01T00:00:00+02:00
load,S,P,consumer,1.8.0,20,2026-05-01T00:00:00+02:00,
sun,S,,pv,2.8.0|2.7.0,11.796,,
"""
ASSETS = """\
asset,meter,kind,up_kw,down_kw,energy_kwh,efficiency,cost_per_mwh,reserve_kwh,due_kwh,due_at,rebound
E,load,ev,5.59,0.0,11.2,1.0,257,,6.7,06:00,
"""
EXCHANGES = """\
meter,register,at,last_wh,first_wh
load,1.8.0,2026-05-03T12:00:00Z,812,0
sun,2.8.0,2026-05-03T12:00:00Z,,
"""
FILES = {
    "zones.csv": ZONES,
    "members.csv": MEMBERS,
    "meters.csv": METERS,
    "assets.csv": ASSETS,
    "exchanges.csv": EXCHANGES,
}


def _write(folder: Path, **changed: str | bytes | None) -> Path:
    """The good folder, with files (named without .csv) changed, or left out where None."""
    for name, text in FILES.items():
        content = changed.get(name.removesuffix(".csv"), text)
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _errors(folder: Path) -> list[tuple[str, int, str]]:
    with pytest.raises(TopologyErrors) as caught:
        check_folder(folder)
    return [(error.file, error.line, error.what) for error in caught.value.errors]


def _content(folder: Path) -> FolderContent:
    return check_folder(folder)


def test_a_good_folder_in_canonical_form(tmp_path: Path) -> None:
    content = _content(_write(tmp_path))
    assert content.zones.to_pylist()[2] == {
        "zone": "S",
        "parent": "G",
        "kind": "station",
        "name": "Station",
        "import_limit_kw": "10",
        "export_limit_kw": "10.5",
        "lat": None,
        "lon": None,
    }
    assert content.zones["name"].to_pylist() == ["Cluster", "G", "Station", "L"]  # a blank name is the zone's own
    assert content.members["excluded"].to_pylist() == [False, True]
    assert content.meters.select(["meter", "zone", "member", "registers", "register_bits"]).to_pylist() == [
        {"meter": "load", "zone": "L", "member": "A", "registers": "1.8.0", "register_bits": 0b00001},
        {"meter": "load", "zone": "S", "member": "P", "registers": "1.8.0", "register_bits": 0b00001},
        {"meter": "sun", "zone": "S", "member": None, "registers": "2.8.0|2.7.0", "register_bits": 0b01010},
    ]
    assert content.meters["valid_from"].to_pylist() == [None, 1777586400, None]
    assert content.meters["valid_to"].to_pylist() == [1777586400, None, None]
    assert content.assets["down_kw"].to_pylist() == ["0"]
    assert content.exchanges["last_wh"].to_pylist() == [812, None]


def _line(text: str, number: int, new: str) -> str:
    """`text` with line `number` (from 1) replaced."""
    lines = text.splitlines()
    lines[number - 1] = new
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("zones", _line(ZONES, 5, "L,NONE,circuit,,,,,"), 5, "parent 'NONE' is not in zones.csv"),
        ("zones", _line(ZONES, 3, "G,,gpz,,,,,"), 3, "zone 'G' is a second root"),
        ("zones", ZONES + "S,G,station,,,,,\n", 6, "zone 'S' stands in line 4 already"),
        ("zones", _line(ZONES, 3, "G,C,substation,,,,,"), 3, "kind 'substation' is none of cluster, gpz"),
        ("zones", _line(ZONES, 3, "G,C,,,,,,"), 3, "kind is empty"),
        ("zones", _line(ZONES, 5, "L,S,gpz,,,,,"), 5, "'L' of kind gpz cannot be below 'S' of kind station"),
        ("zones", _line(ZONES, 5, "L,S,station,,,,,"), 5, "'L' of kind station cannot be below 'S' of kind station"),
        ("zones", _line(ZONES, 4, "S,G,station,,-1,,,"), 4, "import_limit_kw '-1' is negative"),
        ("zones", _line(ZONES, 4, "S,G,station,,,NaN,,"), 4, "export_limit_kw 'NaN' is not a finite number"),
        ("zones", _line(ZONES, 4, "S,G,station,,,,90.01,"), 4, "lat '90.01' is above 90"),
        ("zones", _line(ZONES, 4, "S,G,station,,,,,-181"), 4, "lon '-181' is below -180"),
        ("zones", _line(ZONES, 4, "S,G,station,,,,"), 4, "7 cells where the header has 8"),
        ("zones", ZONES + ",G,station,,,,,\n", 6, "zone is empty"),
        ("zones", ZONES + "X" * 65 + ",G,station,,,,,\n", 6, "has 65 characters, over 64"),
        ("zones", ZONES + "X ,G,station,,,,,\n", 6, "begins or ends with a blank"),
        ("zones", ZONES + "X,G,station,bad\x00name,,,,\n", 6, "holds a control character"),
        ("members", MEMBERS + "A,Other,gmina,\n", 4, "member 'A' stands in line 2 already"),
        ("members", MEMBERS + "B,Other,gmina,yes\n", 4, "excluded 'yes' is neither true nor false"),
        ("meters", METERS + "new,NONE,,pv,2.8.0,,,\n", 5, "zone 'NONE' is not in zones.csv"),
        ("meters", METERS + "new,S,NOBODY,pv,2.8.0,,,\n", 5, "member 'NOBODY' is not in members.csv"),
        ("meters", METERS + "new,,,pv,2.8.0,,,\n", 5, "zone is empty"),
        ("meters", METERS + "new,S,,solar,2.8.0,,,\n", 5, "kind 'solar' is none of consumer"),
        ("meters", METERS + "new,S,,pv,2.8.0|3.8.0,,,\n", 5, "names '3.8.0'"),
        ("meters", METERS + "new,S,,pv,2.8.0|2.8.0,,,\n", 5, "names a register twice"),
        ("meters", METERS + "new,S,,pv,,,,\n", 5, "registers is empty"),
        ("meters", METERS + "new,S,,pv,2.8.0,inf,,\n", 5, "max_kw 'inf' is not a finite number"),
        ("meters", METERS + "new,S,,pv,2.8.0,-0.1,,\n", 5, "max_kw '-0.1' is negative"),
        ("meters", METERS + "new,S,,pv,2.8.0,1e9,,\n", 5, "max_kw '1e9' is above"),
        ("meters", METERS + "new,S,,pv,2.8.0,,2026-05-01T00:00:00,\n", 5, "is not an ISO 8601 instant with an offset"),
        ("meters", METERS + "new,S,,pv,2.8.0,,,2026-02-30T00:00:00Z\n", 5, "is not an ISO 8601 instant with an offset"),
        (
            "meters",
            METERS + "new,S,,pv,2.8.0,,2026-05-01T00:00:00Z,2026-05-01T02:00:00+02:00\n",
            5,
            "is not after valid_from",
        ),
        (
            "meters",
            METERS + "sun,S,,pv,2.8.0,,2030-01-01T00:00:00Z,\n",
            5,
            "meter 'sun' is valid in line 4 at the same",
        ),
        (
            "meters",
            METERS + "load,S,,pv,2.8.0,,,2020-01-01T00:00:00Z\n",
            5,
            "'load' is valid in line 2 at the same time",
        ),
        ("meters", METERS + "sun,S,,pv,2.8.0,,,,\n", 5, "9 cells where the header has 8"),
        ("assets", ASSETS + "E,load,ev,1,1,,,,,,,\n", 3, "asset 'E' stands in line 2 already"),
        ("assets", ASSETS + "F,none,ev,1,1,,,,,,,\n", 3, "meter 'none' is not in meters.csv"),
        ("assets", ASSETS + "F,load,car,1,1,,,,,,,\n", 3, "kind 'car' is none of storage"),
        ("assets", ASSETS + "F,load,ev,-1,1,,,,,,,\n", 3, "up_kw '-1' is negative"),
        ("assets", ASSETS + "F,load,ev,1,1,,1.01,,,,,\n", 3, "efficiency '1.01' is above 1"),
        ("assets", ASSETS + "F,load,ev,1,1,,0,,,,,\n", 3, "efficiency '0' must be above 0"),
        ("assets", ASSETS + "F,load,ev,1,1,,,,,,24:00,\n", 3, "due_at '24:00' is not a time of day"),
        ("assets", ASSETS + "F,load,ev,1,1,,,,,,6:00,\n", 3, "due_at '6:00' is not a time of day"),
        ("exchanges", EXCHANGES + "none,1.8.0,2026-05-03T12:00:00Z,,\n", 4, "meter 'none' is not in meters.csv"),
        ("exchanges", EXCHANGES + "load,2.8.0,2026-05-03T12:00:00Z,,\n", 4, "meter 'load' has no register 2.8.0"),
        ("exchanges", EXCHANGES + "load,soc,2026-05-03T12:00:00Z,,\n", 4, "register 'soc' is neither 1.8.0 nor 2.8.0"),
        ("exchanges", EXCHANGES + "load,1.8.0,,,\n", 4, "at is empty"),
        ("exchanges", EXCHANGES + "load,1.8.0,2026-05-04T12:00:00Z,5,\n", 4, "only last_wh is given"),
        ("exchanges", EXCHANGES + "load,1.8.0,2026-05-04T12:00:00Z,,5\n", 4, "only first_wh is given"),
        ("exchanges", EXCHANGES + "load,1.8.0,2026-05-04T12:00:00Z,1.5,5\n", 4, "last_wh '1.5' is not a whole number"),
        (
            "exchanges",
            EXCHANGES + "load,1.8.0,2026-05-04T12:00:00Z,5,10000000000001\n",
            4,
            "is not a whole number from",
        ),
        (
            "exchanges",
            EXCHANGES + "load,1.8.0,2026-05-03T14:00:00+02:00,5,5\n",
            4,
            "the same exchange stands in line 2 already",
        ),
    ],
)
def test_each_mistake_is_found_where_it_is(tmp_path: Path, name: str, text: str, line: int, what: str) -> None:
    found = _errors(_write(tmp_path, **{name: text}))
    assert len(found) == 1, found
    assert found[0][:2] == (f"{name}.csv", line)
    assert what in found[0][2]


def test_all_mistakes_of_all_files_are_told_sorted(tmp_path: Path) -> None:
    zones = _line(_line(ZONES, 4, "S,NONE,station,Station,-1,x,,"), 5, "L,S,nothing,,,,,")
    meters = METERS + "new,NONE,NOBODY,solar,9.9.9,-1,yesterday,\nnew2,S\n"
    found = _errors(_write(tmp_path, zones=zones, meters=meters, assets="asset,meter\n"))
    assert found == sorted(found)
    assert [(file, line) for file, line, _ in found] == [
        ("assets.csv", 1),
        *[("meters.csv", 5)] * 6,
        ("meters.csv", 6),
        *[("zones.csv", 4)] * 3,
        ("zones.csv", 5),
    ]


@pytest.mark.parametrize("name", ["zones", "meters"])
def test_a_missing_file_is_said_once(tmp_path: Path, name: str) -> None:
    assert _errors(_write(tmp_path, **{name: None})) == [(f"{name}.csv", 0, "the file is missing")]


def test_a_missing_column_is_said_once(tmp_path: Path) -> None:
    found = _errors(_write(tmp_path, zones=ZONES.replace("parent", "above")))
    assert found == [("zones.csv", 1, "column parent is missing")]


def test_a_column_that_stands_twice(tmp_path: Path) -> None:
    found = _errors(_write(tmp_path, members="member,name,name\nA,,\n"))
    assert ("members.csv", 1, "column name is there twice") in found


def test_semicolons_are_named(tmp_path: Path) -> None:
    found = _errors(_write(tmp_path, zones=ZONES.replace(",", ";")))
    assert [line for _, line, _ in found] == [1, 1, 1]
    assert "columns are separated by commas" in found[0][2]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BilansError, match="There is no folder"):
        check_folder(tmp_path / "none")


def test_circles_are_told_once_and_leave_no_root(tmp_path: Path) -> None:
    zones = "zone,parent,kind\nA,C,cluster\nB,A,gpz\nC,B,station\nD,D,cluster\nE,A,feeder\n"
    meters = "meter,zone,kind,registers\nm,E,pv,2.8.0\n"
    found = _errors(_write(tmp_path, zones=zones, members=None, meters=meters, assets=None, exchanges=None))
    assert found == [
        ("zones.csv", 0, "no zone is the root: one zone must have a blank parent"),
        ("zones.csv", 2, "the parents form a circle: 'A' (line 2) → 'C' (line 4) → 'B' (line 3) → 'A' (line 2)"),
        ("zones.csv", 5, "the parents form a circle: 'D' (line 5) → 'D' (line 5)"),
    ]


def test_a_byte_order_mark_and_line_ends_of_windows_are_taken(tmp_path: Path) -> None:
    content = _content(_write(tmp_path, zones=b"\xef\xbb\xbf" + ZONES.replace("\n", "\r\n").encode()))
    assert content.zones["zone"].to_pylist() == ["C", "G", "S", "L"]


def test_lines_that_are_not_utf8(tmp_path: Path) -> None:
    meters = METERS.encode() + "new,S,,pv,2.8.0,,,\nżar,S,,pv,2.8.0,,,\n".encode("iso-8859-2")
    found = _errors(_write(tmp_path, meters=meters))
    assert found == [("meters.csv", 6, "not UTF-8: byte 0xbf at place 1 of the line")]


def test_lines_are_counted_through_quoted_line_ends_and_empty_lines(tmp_path: Path) -> None:
    zones = 'zone,parent,kind,note\nC,,cluster,"two\nlines"\n\nS,C,station,\nS,C,station,\n'
    found = _errors(_write(tmp_path, zones=zones + "L,S,circuit,\n"))
    assert found == [("zones.csv", 6, "zone 'S' stands in line 5 already")]


def test_a_quote_that_does_not_end(tmp_path: Path) -> None:
    found = _errors(_write(tmp_path, meters=METERS + 'new,"S,,pv,2.8.0,,,\n'))
    assert found == [("meters.csv", 5, "not CSV: unexpected end of data")]


def test_only_zones_and_meters_with_their_columns_are_needed(tmp_path: Path) -> None:
    zones = "kind,zone,parent,colour\ncluster,C,,red\n"
    meters = "meter,zone,kind,registers,member\nm,C,pv,2.8.0,Someone\nn,C,pv,2.8.0,\n"
    content = _content(_write(tmp_path, zones=zones, members=None, meters=meters, assets=None, exchanges=None))
    # Without members.csv a member that a meter names is taken as it is.
    assert content.members.to_pylist() == [{"member": "Someone", "name": "Someone", "kind": "", "excluded": False}]
    assert content.meters["max_kw"].to_pylist() == [None, None]


def test_levels_may_be_skipped(tmp_path: Path) -> None:
    zones = "zone,parent,kind\nL,C,circuit\nC,,cluster\n"
    meters = "meter,zone,kind,registers\nm,L,pv,2.8.0\n"
    content = _content(_write(tmp_path, zones=zones, members=None, meters=meters, assets=None, exchanges=None))
    assert content.zones["zone"].to_pylist() == ["C", "L"]  # parents before children, whatever the file's order


@pytest.mark.parametrize("zones", ["zone,parent,kind\n", ""])
def test_an_empty_file(tmp_path: Path, zones: str) -> None:
    assert ("zones.csv", 0 if zones else 1) in [error[:2] for error in _errors(_write(tmp_path, zones=zones))]
