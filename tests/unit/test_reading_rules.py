"""Design rule 10, case by case: the first reason that fits, in its order."""

import json

import pytest

from services.ingest.reading_rules import Reading, Rejection, judge, latest_instant_s
from shared.limits import READING_BYTES_MAX, VALUE_MAX, VERSION_MAX
from shared.words import RejectReason
from tests.unit.ingest_lookup import METERS, PLACES, small_lookup

LOOKUP = small_lookup()
NOW_S = 1_777_630_500.5
LATEST_S = latest_instant_s(NOW_S)
TS, TS_S = "2026-05-01T10:15:00Z", 1_777_630_500


def _line(**changes: str) -> bytes:
    """A reading whose fields are given as JSON text; None leaves one out."""
    fields = {"meter": '"a"', "register": '"1.8.0"', "ts": f'"{TS}"', "value": "5"} | changes
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items() if text) + "}").encode()


def _reason(line: bytes) -> RejectReason:
    verdict = judge(line, LOOKUP, LATEST_S)
    assert isinstance(verdict, Rejection), verdict
    assert verdict.detail
    json.dumps(verdict.detail).encode()
    return verdict.reason


def _reading(line: bytes) -> Reading:
    verdict = judge(line, LOOKUP, LATEST_S)
    assert isinstance(verdict, Reading), verdict
    return verdict


@pytest.mark.parametrize("meter", METERS)
def test_every_name_is_found(meter: str) -> None:
    for ascii_only in (True, False):
        line = _line(meter=json.dumps(meter, ensure_ascii=ascii_only))
        assert _reading(line)[:2] == PLACES[meter, "1.8.0"]


@pytest.mark.parametrize(
    ("register", "short"), [("1-0:1.8.0*255", "1.8.0"), ("1-0:2.7.0*255", "2.7.0"), ("soc", "soc"), ("2.8.0", "2.8.0")]
)
def test_registers_also_in_full(register: str, short: str) -> None:
    assert _reading(_line(register=f'"{register}"'))[:2] == PLACES["a", short]


@pytest.mark.parametrize("register", ["1-0:soc*255", "1.8.1", "1-0:1.8.0", "1.8.0*255", "", "SOC", " 1.8.0"])
def test_unknown_registers(register: str) -> None:
    assert _reason(_line(register=f'"{register}"')) == "unknown_register"


def test_a_register_of_no_row_of_the_meter() -> None:
    assert _reason(_line(meter=f'"{METERS[1]}"', register='"2.8.0"')) == "unknown_register"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[1]",
        b'"text"',
        b"5",
        b"NaN",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf" + _line(),
        _line() + b"x",
        _line().decode().encode("utf-16"),
        b"[" * 2000,
        b'{"a":' * 700,
        _line(value="01"),
        _line(value="+1"),
        _line(value=".5"),
        _line(value="nan"),
        b'{"meter":"a\x01"}',
    ],
)
def test_what_is_no_json_object_is_malformed(text: bytes) -> None:
    assert _reason(text) == "malformed"


@pytest.mark.parametrize("name", ["meter", "register", "ts", "value"])
def test_a_missing_field_is_malformed(name: str) -> None:
    assert _reason(_line(**{name: ""})) == "malformed"


@pytest.mark.parametrize("name", ["meter", "register", "ts"])
@pytest.mark.parametrize("text", ["null", "5", "1e3", "NaN", "true", "[]", "{}", r'"\ud800"', r'"a\udfff"'])
def test_names_and_instants_are_strings(name: str, text: str) -> None:
    assert _reason(_line(**{name: text})) == "malformed"


@pytest.mark.parametrize(
    "text",
    ["null", "-1", "-0", "1.0", "0.0", "1e0", "true", '"0"', "[]", "NaN", str(VERSION_MAX + 1), "9" * 3000],
)
def test_versions_are_whole_numbers(text: str) -> None:
    assert _reason(_line(version=text)) == "malformed"


def test_the_highest_version_and_none() -> None:
    assert _reading(_line(version=str(VERSION_MAX))).version == VERSION_MAX
    assert _reading(_line()).version == 0


@pytest.mark.parametrize(
    "text",
    [
        *["null", "true", "false", "NaN", "Infinity", "-Infinity", '"7"', "[7]", "{}"],
        *["-0", "-1", "1.0", "1e3", "1E0", str(VALUE_MAX + 1), "9" * 3000],
    ],
)
def test_values_are_whole_number_literals(text: str) -> None:
    assert _reason(_line(value=text)) == "bad_value"


def test_the_largest_value_and_the_smallest() -> None:
    assert _reading(_line(value=str(VALUE_MAX))).value == VALUE_MAX
    assert _reading(_line(value="0")).value == 0


@pytest.mark.parametrize(
    ("ts", "ts_s"),
    [
        (TS, TS_S),
        ("2026-05-01T10:15Z", TS_S),
        ("2026-05-01T12:15:00+02:00", TS_S),
        ("2026-05-01T12:15:00+0200", TS_S),
        ("2026-05-01T00:15:00-10:00", TS_S),
        ("2026-05-01t10:15:00.999999999z", TS_S),
        ("2026-05-01 10:15:00,9Z", TS_S),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("2000-01-01T00:00:00Z", 946_684_800),
    ],
)
def test_instants(ts: str, ts_s: int) -> None:
    assert _reading(_line(ts=f'"{ts}"')).ts_s == ts_s


@pytest.mark.parametrize(
    "ts",
    [
        "",
        "today",
        "2026-05-01",
        "2026-05-01T10:15:00",
        "1777630500",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-05-01T25:00:00Z",
        "2026-05-01T24:00:00Z",
        "2026-05-01T10:15:00+02:60",
        "2026-05-01T10:15:60Z",
        "2026-05-01T10:15:00.Z",
        "2026-05-01T10:15:00 Z",
        "2026-05-01T10:15:00+99:00",
        "1999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+23:59",
        "２026-05-01T10:15:00Z",
    ],
)
def test_bad_timestamps(ts: str) -> None:
    assert _reason(_line(ts=json.dumps(ts))) == "bad_timestamp"


def test_the_future_begins_after_five_minutes() -> None:
    assert _reading(_line(ts='"2026-05-01T10:20:00.9Z"')).ts_s == TS_S + 300
    assert _reason(_line(ts='"2026-05-01T10:20:01Z"')) == "future_timestamp"
    assert _reason(_line(ts='"9999-12-31T23:59:59-23:59"')) == "future_timestamp"


def test_size_is_of_the_bytes() -> None:
    pad = READING_BYTES_MAX - len(_line(note='""'))
    assert _reading(_line(note='"' + "x" * pad + '"'))
    assert _reason(_line(note='"' + "x" * (pad + 1) + '"')) == "oversized"
    assert _reason(b"x" * (READING_BYTES_MAX + 1)) == "oversized"


def test_the_first_reason_in_the_order_of_the_rule_is_given() -> None:
    changes = [
        ("unknown_meter", {"meter": '"nobody"'}),
        ("unknown_register", {"register": '"9.9.9"'}),
        ("bad_timestamp", {"ts": '"1999-01-01T00:00:00Z"'}),
        ("future_timestamp", {"ts": '"2999-01-01T00:00:00Z"'}),
        ("bad_value", {"value": "null"}),
    ]
    for first in range(len(changes)):
        line: dict[str, str] = {}
        for _, change in reversed(changes[first:]):
            line |= change
        assert _reason(_line(**line)) == changes[first][0]
        assert _reason(_line(version="-1", **line)) == "malformed"


def test_the_last_of_a_repeated_key_counts() -> None:
    assert _reading(_line().replace(b"}", b',"value":7}')).value == 7
    assert _reason(_line().replace(b"}", b',"value":null}')) == "bad_value"


def test_what_could_be_read_is_kept() -> None:
    verdict = judge(_line(value="null", meter='"nobody"'), LOOKUP, LATEST_S)
    assert isinstance(verdict, Rejection)
    assert (verdict.meter, verdict.register, verdict.ts) == ("nobody", "1.8.0", TS)
    verdict = judge(_line(ts="5", version="-1"), LOOKUP, LATEST_S)
    assert isinstance(verdict, Rejection)
    assert (verdict.meter, verdict.register, verdict.ts) == ("a", "1.8.0", None)
