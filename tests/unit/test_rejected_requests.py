"""A retry sends each original as exactly one delivery, byte for byte: what the door makes of it is held against it."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.rejected.display import plain, shown_original
from deploy.rejected.requests import ARRAY, LINES, pack
from deploy.rejected.store import Original
from services.ingest.json_deliveries import check_array, check_lines
from shared.limits import ORIGINAL_BYTES_MAX
from shared.words import RejectReason
from tests.unit.ingest_lookup import small_lookup

LOOKUP = small_lookup()
CHECKS = {LINES: check_lines, ARRAY: check_array}


def originals_of(*contents: bytes) -> list[Original]:
    return [Original(number, RejectReason.MALFORMED, content) for number, content in enumerate(contents)]


def as_the_door_reads(originals: list[Original]) -> tuple[list[bytes], list[bytes]]:
    """The deliveries that the door makes of the requests, and the originals that are said to be impossible."""
    requests, impossible = pack(originals)
    found = []
    for request in requests:
        checked = CHECKS[request.content_type](request.body, LOOKUP, 2_000_000_000)
        assert len(checked) == len(request.originals)
        found += [checked.original(index) for index in range(len(checked))]
    return found, [original.content for original in impossible]


_json = st.recursive(
    st.none() | st.integers() | st.text() | st.just(float("nan")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Any bytes, or a JSON value, spread over lines or not."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=30) | st.text(alphabet='{}[],:" \r\n1a', max_size=20).map(str.encode))
    value: Any = draw(_json)
    return json.dumps(value, indent=draw(st.sampled_from([None, 1]))).encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(contents(), max_size=8))
def test_every_original_is_one_delivery_of_the_same_bytes_or_said_to_be_impossible(many: list[bytes]) -> None:
    found, impossible = as_the_door_reads(originals_of(*many))
    left = iter(many)
    # In their order: what the door reads are the originals without the impossible ones.
    assert sorted(found + impossible) == sorted(many)
    assert all(content in left for content in found)
    assert all(content == b"" or b"\n" in content for content in impossible)


@pytest.mark.parametrize(
    "content",
    [b"x\r", b"\r", b" ", b'{"a":1}', b"\xff\x00\x1b", b"[1]", b'{\n "a": 1\n}', b"[\n1,\r\n2]", b'{"a":\nNaN}'],
)
def test_odd_originals_arrive_as_they_were(content: bytes) -> None:
    assert as_the_door_reads(originals_of(b"before", content, b"after")) == ([b"before", content, b"after"], [])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"two\nlines",
        b'{"a":1}\n',
        b"1,\n2",
        b"\n",
        pytest.param(b"[" * 100_000 + b"\n", id="too deep"),
        pytest.param(b"x" * ORIGINAL_BYTES_MAX, id="perhaps cut"),
    ],
)
def test_what_would_be_changed_or_doubled_is_not_sent(content: bytes) -> None:
    assert as_the_door_reads(originals_of(b"before", content)) == ([b"before"], [content])


def test_an_original_is_shown_without_power_over_the_terminal() -> None:
    assert plain("Ż\x1b[2J\u202e\n") == "Ż\\x1b[2J\\u202e\\n"
    assert shown_original(b"a\x1b]0;x\x07\nb") == ["  a\\x1b]0;x\\x07", "  b"]
    assert shown_original(b"\xffAB\n") == ["  00000000  ff 41 42 0a" + " " * 37 + " .AB."]
    long = shown_original("ż".encode() * 5_000)
    assert long == ["  " + "ż" * 2_048, "  … and 5,904 bytes more; --json has all of it."]
    assert list(itertools.islice(shown_original(b"a" + "ż".encode() * 5_000), 1)) == ["  a" + "ż" * 2_047]
