"""The columnar paths of ingest say what the plain rules say, on near-valid and on arbitrary bytes."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.checked import Checked, TooLargeBodyError, UnreadableBodyError
from services.ingest.json_array import find_elements
from services.ingest.json_deliveries import check_array, check_lines, check_spans
from services.ingest.json_lines import find_lines
from services.ingest.name_table import build_name_table
from services.ingest.reading_rules import Reading, Rejection, judge, latest_instant_s
from shared.limits import BODY_DELIVERIES_MAX, READING_BYTES_MAX, VALUE_MAX, VERSION_MAX
from tests.unit.ingest_lookup import METERS, PLACES, small_lookup

LOOKUP = small_lookup()
LATEST_S = latest_instant_s(1_777_630_500.5)

# --- near-valid lines ---------------------------------------------------------------------------------------------

_numbers = st.integers(0, VALUE_MAX + 5).map(str) | st.sampled_from(
    [
        *[str(VALUE_MAX), str(VERSION_MAX), str(VERSION_MAX + 1), "9" * 20, "9" * 4300],
        *["0", "00", "07", "-0", "-1", "1.0", "1e3", "NaN", "null", "true", '"7"', "[1]", ""],
    ]
)
_date_edges = [
    "02-28",
    "02-29",
    "02-30",
    "04-30",
    "04-31",
    "12-31",
    "12-32",
    "01-00",
    "00-01",
    "13-01",
    "06-31",
    "x1-01",
]
_instant_parts: list[tuple[str, list[str]]] = [
    ("2026-", ["2024-", "2000-", "2100-", "1999-", "1970-", "1969-", "0000-", "9999-", "202-", "x026-", "2026/"]),
    ("05-01", _date_edges),
    ("T", ["t", " ", ""]),
    ("10:", ["00:", "23:", "24:", "1:", "1x:", "10."]),
    ("15", ["00", "59", "60", "5", "x5"]),
    (
        ":00",
        ["", ":59", ":60", ":5", ":5x", ":", ":00.5", ":59.999999999", ":00.0123456789", ":00.", ":00,5", ":00.5x"],
    ),
    (
        "Z",
        ["z", "", "+02:00", "-11:30", "+23:59", "+24:00", "+02:60", "+0200", "+02", "+2:00", "Z ", "-00:00", "+x2:00"],
    ),
]


@st.composite
def _instants(draw: st.DrawFn) -> str:
    """An instant with up to two parts that are odd, or right at an edge."""
    odd = draw(st.sets(st.integers(0, len(_instant_parts) - 1), max_size=2))
    return "".join(draw(st.sampled_from(rare)) if k in odd else usual for k, (usual, rare) in enumerate(_instant_parts))


_names = st.sampled_from([*METERS, "nobody", "", "5903224000000000170"])
_meters = st.builds(lambda name, ascii_only: json.dumps(name, ensure_ascii=ascii_only), _names, st.booleans()) | (
    _names.map('"{}"'.format)  # without the escapes that it may need
)
_registers = st.sampled_from(
    ["1.8.0", "1.8.0", "2.8.0", "1-0:1.8.0*255", "soc", "2.7.0", "1.8.1", "", r"1\u002e8.0"]
).map('"{}"'.format)
_odd = st.sampled_from(["null", "5", r'"\ud800"', "{}", '"a', "NaN"])
_good_fields: dict[str, st.SearchStrategy[str]] = {
    "meter": st.sampled_from(METERS[:4]).map(lambda name: json.dumps(name, ensure_ascii=False)),
    "register": st.just('"1.8.0"'),
    "ts": st.just('"2026-05-01T10:15:00Z"'),
    "value": st.integers(0, VALUE_MAX).map(str),
    "version": st.integers(0, VERSION_MAX).map(str),
}
_any_fields: dict[str, st.SearchStrategy[str]] = {
    "meter": _meters | _odd,
    "register": _registers | _odd,
    "ts": _instants().map('"{}"'.format) | _odd,
    "value": _numbers,
    "version": _numbers,
}
_spaces = st.sampled_from(["", "", "", " ", "\t", "\r", " \r ", "\x0b", "\xa0"])


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """Readings that are right but for one field or two, keys in any order, missing, repeated or more."""
    odd = draw(st.sets(st.sampled_from(list(_any_fields)), max_size=2))
    keys = draw(st.permutations(list(_any_fields)))
    keys = [key for key in keys if not (key == "version" and draw(st.booleans()))]
    if draw(st.integers(0, 9)) == 0:
        keys = keys[1:]
    if draw(st.integers(0, 9)) == 0:
        keys.append(draw(st.sampled_from([*keys, "unit", "Meter", "met\\u0065r", "valu", "version "])))
    pairs = []
    for key in keys:
        source = _any_fields if key in odd else _good_fields
        text = draw(source.get(key, st.sampled_from(['"x"', "5", "{}", "[[]]"])))
        pairs.append(f'{draw(_spaces)}"{key}"{draw(_spaces)}:{draw(_spaces)}{text}{draw(_spaces)}')
    line = draw(_spaces) + "{" + ",".join(pairs) + "}" + draw(_spaces)
    encoded = line.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
    if draw(st.integers(0, 19)) == 0:  # right at the size that a reading may have
        encoded += b" " * (READING_BYTES_MAX - len(encoded) + draw(st.integers(-1, 2)))
    return encoded


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    line = bytearray(draw(_lines()))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(line) - 1))
        line[place] = draw(st.integers(0, 255))
    return bytes(line)


_GOOD = b'{"meter":"a","register":"1.8.0","ts":"2026-05-01T10:15:00Z","value":1}'


def _verdicts(checked: Checked) -> list[Reading | Rejection]:
    """What became of each delivery; what the columns held as good before `judge` is compared with it, too."""
    before = checked.good.copy()
    rejected = {item.index: item.rejection for item in checked.judge_some(checked.doubtful(), LOOKUP, LATEST_S)}
    verdicts: list[Reading | Rejection] = []
    for index in range(len(checked)):
        if not checked.good[index]:
            verdicts.append(rejected[index])
            continue
        columns = (checked.partition, checked.slot, checked.ts_s, checked.value, checked.version)
        verdicts.append(Reading(*(int(column[index]) for column in columns)))
        if before[index]:
            assert verdicts[-1] == judge(checked.original(index), LOOKUP, LATEST_S)
    return verdicts


def _plain_lines(body: bytes) -> list[bytes]:
    lines = [line[:-1] if line.endswith(b"\r") else line for line in body.split(b"\n")]
    return [line for line in lines if line]


def _hold_lines(body: bytes) -> None:
    lines = _plain_lines(body)
    checked = check_lines(body, LOOKUP, LATEST_S)
    assert [checked.original(index) for index in range(len(checked))] == lines
    assert _verdicts(checked) == [judge(line, LOOKUP, LATEST_S) for line in lines]


@settings(max_examples=600, deadline=None)
@given(st.lists(_lines() | _mutated(), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n\r\n"]))
@example([_GOOD.replace(b'"a"', rb'"back\slash"')], b"\n")
@example([_GOOD.replace(b'"a"', b'"zaz\xc3"')], b"\n")
@example([_GOOD.ljust(READING_BYTES_MAX), _GOOD.ljust(READING_BYTES_MAX + 1)], b"\n")
@example([_GOOD.replace(b"1}", b"10000000000000}"), _GOOD.replace(b"1}", b"10000000000001}")], b"\n")
def test_near_valid_lines_are_judged_as_by_the_rules(lines: list[bytes], end: bytes) -> None:
    _hold_lines(end.join(lines))


def _like_good(*changes: tuple[bytes, bytes]) -> list[bytes]:
    """Good lines, and between them one for each change of some bytes to others."""
    return [_GOOD, *(_GOOD.replace(old, new) for old, new in changes), _GOOD]


@st.composite
def _alike_lines(draw: st.DrawFn) -> list[bytes]:
    """Lines of one form, and so of one producer: only their values differ, and now and then a byte that should not."""
    in_order = ["meter", "register", "ts", "value"]
    keys = draw(st.sampled_from([in_order, [*in_order, "version"]]) | st.permutations([*_good_fields]))
    comma, colon, end = draw(st.sampled_from([(",", ":", "}"), (", ", ": ", "}"), (" ,", ":\t", " } ")]))
    fixed = {key: draw(_good_fields[key]) for key in keys}
    lines = []
    for _ in range(draw(st.integers(2, 12))):
        varied = draw(st.sets(st.sampled_from([*_any_fields]), max_size=2))
        fields = {key: draw(_any_fields[key]) if key in varied else fixed[key] for key in keys}
        text = "{" + comma.join(f'"{key}"{colon}{fields[key]}' for key in keys) + end
        line = bytearray(text, "utf-8", "surrogatepass")
        if draw(st.integers(0, 3)) == 0:
            line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255) | st.sampled_from([*b'"\\,0']))
        lines.append(bytes(line).replace(b"\n", b" "))
    return lines


@settings(max_examples=300, deadline=None)
@given(_alike_lines())
@example(_like_good((b'"a"', b'"\xff"'), (b'"a"', b'"""'), (b'"a"', b'"\\"'), (b'"a"', b'"\t"')))
@example(_like_good((b'"a"', b'"unknown"'), (b'"a"', b'"quo"ted"')))
@example(_like_good((b'"a"', b'"0123456789"'), (b'"a"', b'"back\\slash"')))
@example(
    _like_good((b"1}", b"1.}"), (b"1}", b"12}"), (b"1}", b"}}"), (b"1}", b"1} x"), (b"1}", b"1}  "), (b"1}", b"1"))
)
@example(_like_good((b"1}", b"10000000000000}"), (b"1}", b"10000000000001}"), (b"1}", b"0}"), (b"1}", b"01}")))
@example(_like_good((b"10:15", b"10:30"), (b"2026", b"20x6"), (b"2026", b"1999"), (b"2026", b"2036")))
@example(_like_good((b"meter", b"metre"), (b"value", b"valve"), (b"register", b"registre"), (b'"ts"', b'"TS"')))
@example([_GOOD.ljust(READING_BYTES_MAX), _GOOD.replace(b"1}", b"12}").ljust(READING_BYTES_MAX + 1), _GOOD])
@example(_like_good((b"1}", b'1,"version":3}'), (b"1}", b'12,"version":3}'), (b"1}", b'1,"version":4}')))
def test_lines_like_the_one_before_are_judged_as_by_the_rules(lines: list[bytes]) -> None:
    _hold_lines(b"\n".join(lines))


@settings(max_examples=400, deadline=None)
@given(st.lists(_instants(), min_size=10, max_size=40))
def test_instants_at_every_edge_are_read_as_by_the_rules(instants: list[str]) -> None:
    line = '{{"meter":"a","register":"1.8.0","ts":"{}","value":1}}'
    _hold_lines("\n".join(line.format(ts) for ts in instants).encode())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text('{}[]",:\\ \n\r0123456789.-eTZmetrgisvalun', max_size=300).map(str.encode))
@example(b"")
@example(b"\r")
@example(b"\n\n\r\n\r\r")
@example(b"[" * 5000)
@example(b'{"meter":' * 400)
@example(b'{"a":' * 600 + b"1" + b"}" * 600)
@example(b'{"value":' + b"9" * 4050 + b"}")
def test_arbitrary_bytes_are_judged_as_by_the_rules(body: bytes) -> None:
    _hold_lines(body)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.text("\n\r\nab", max_size=8).map(str.encode), st.binary(max_size=3)), max_size=8))
def test_lines_of_parts_are_found_apart(parts: list[tuple[bytes, bytes]]) -> None:
    body, starts, ends = b"", [], []
    for part, between in parts:
        starts.append(len(body))
        ends.append(len(body) + len(part))
        body += part + between
    found = find_lines(np.frombuffer(body, np.uint8), np.array(starts, np.int64), np.array(ends, np.int64))
    lines = [body[start:end] for start, end in zip(*found, strict=True)]
    assert lines == [line for part, _ in parts for line in _plain_lines(part)]


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries(_good_fields), st.permutations(list(_good_fields)), st.booleans())
def test_the_common_form_takes_the_fast_way(fields: dict[str, str], keys: list[str], spaced: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    line = "{" + separators[0].join(f'"{key}"{separators[1]}{fields[key]}' for key in keys) + "}"
    checked = check_lines(line.encode(), LOOKUP, LATEST_S)
    assert checked.good.tolist() == [True]
    _hold_lines(line.encode())


# --- arrays -------------------------------------------------------------------------------------------------------

_json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_array_bodies = st.builds(
    lambda values, indent, ascii_only, before, after: (
        before + json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + after
    ),
    st.lists(_json_values, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.sampled_from([b"", b" ", b"\n\t\r"]),
    st.sampled_from([b"", b" \n", b",", b"]", b"x"]),
)
_array_of_lines = st.lists(_lines() | _mutated(), max_size=5).map(lambda lines: b"[" + b" ,\n".join(lines) + b"]")


def _plain_json(body: bytes) -> Any:
    return json.loads(body.decode(), parse_int=str)  # Python makes no number of more than 4300 digits


def _hold_array(body: bytes) -> None:
    try:
        values = _plain_json(body)
    except (ValueError, RecursionError):
        values = None
    try:
        checked = check_array(body, LOOKUP, LATEST_S)
    except UnreadableBodyError:
        assert not isinstance(values, list)
        return
    assert isinstance(values, list) and len(checked) == len(values)
    originals = [checked.original(index) for index in range(len(checked))]
    assert repr([_plain_json(original) for original in originals]) == repr(values)
    assert all(original.strip(b" \t\r\n") == original for original in originals)
    assert _verdicts(checked) == [judge(original, LOOKUP, LATEST_S) for original in originals]


@settings(max_examples=400, deadline=None)
@given(_array_bodies | _array_of_lines)
@example(b"")
@example(b"[")
@example(b"]")
@example(b"[]")
@example(b" [ ] ")
@example(b"[,]")
@example(b"[1,]")
@example(b"[1}]")
@example(b'["]"]')
@example(b'["\\"]')
@example(b"[1] [2]")
@example(b"[1],[2]")
@example(b"{}")
@example(b"[" * 100_000 + b"]" * 100_000)
@example(b"[" + b"9" * 5000 + b"]")
def test_arrays_are_read_as_json_reads_them(body: bytes) -> None:
    _hold_array(body)


@settings(max_examples=200, deadline=None)
@given(_array_bodies, st.integers(0, 10**6), st.integers(0, 255))
def test_damaged_arrays_are_read_as_json_reads_them(body: bytes, place: int, byte: int) -> None:
    damaged = bytearray(body)
    damaged[place % len(body)] = byte
    _hold_array(bytes(damaged))


def test_bodies_of_too_many_deliveries_are_refused() -> None:
    with pytest.raises(TooLargeBodyError):
        check_lines(b"\n" * (BODY_DELIVERIES_MAX + 1), LOOKUP, LATEST_S)
    with pytest.raises(TooLargeBodyError):
        check_array(b"[" + b"1," * BODY_DELIVERIES_MAX + b"1]", LOOKUP, LATEST_S)
    spans = find_elements(np.frombuffer(b"[1,2,3]", np.uint8), 3)
    assert spans is not None and spans[0].tolist() == [1, 3, 5]


# --- parts --------------------------------------------------------------------------------------------------------


_any_names = st.text(max_size=8) | st.text("ab", min_size=7, max_size=20)


@given(st.lists(_any_names, unique=True, max_size=50), st.lists(_any_names, max_size=50))
def test_name_tables_find_what_they_hold(names: list[str], asked: list[str]) -> None:
    names = [name for name in names if name.isprintable()]
    asked = [*names, *(name for name in asked if name.isprintable())]
    encoded = [name.encode() for name in asked]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    starts = ends - np.array([len(name) for name in encoded], np.int64)
    found = build_name_table(names).find(np.frombuffer(b"".join(encoded), np.uint8), starts, ends)
    expected = {name: index for index, name in enumerate(names)}
    assert found.tolist() == [expected.get(name, -1) for name in asked]


@given(st.lists(st.tuples(st.sampled_from(list(PLACES)), st.booleans()), max_size=60), st.integers(1, 7))
def test_readings_are_split_by_partition_in_their_order(
    chosen: list[tuple[tuple[str, str], bool]], readings_max: int
) -> None:
    lines = [
        json.dumps({"meter": meter, "register": register, "ts": "2026-05-01T10:15Z", "value": number if good else -1})
        for number, ((meter, register), good) in enumerate(chosen)
    ]
    checked = check_lines("\n".join(lines).encode(), LOOKUP, LATEST_S)
    _verdicts(checked)
    parts = list(checked.by_partition(readings_max))
    assert all(0 < len(readings) <= readings_max for _, readings in parts)
    for partition in range(3):
        found = [
            (slot, value)
            for number, readings in parts
            if number == partition
            for slot, value in zip(readings.slot.tolist(), readings.value.tolist(), strict=True)
        ]
        assert found == [
            (PLACES[place][1], number)
            for number, (place, good) in enumerate(chosen)
            if good and PLACES[place][0] == partition
        ]


def test_spans_may_lie_anywhere() -> None:
    line = b'{"meter":"a","register":"1.8.0","ts":"2026-05-01T10:15Z","value":1}'
    body = b"xx" + line + b"yy"
    spans = (np.array([2, 0], np.int64), np.array([2 + len(line), 2], np.int64))
    assert check_spans(body, spans, LOOKUP, LATEST_S).good.tolist() == [True, False]
