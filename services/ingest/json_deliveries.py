"""JSON deliveries, from lines or from the elements of an array, to checked columns."""

import numpy as np
import numpy.typing as npt

from services.ingest.checked import Checked, TooLargeBodyError, UnreadableBodyError, place_columns
from services.ingest.json_array import find_elements
from services.ingest.json_lines import find_lines, parse_lines
from services.ingest.lookup import NO_PARTITION, SeriesLookup
from services.ingest.reading_rules import NotJsonError, parse_json
from shared.limits import BODY_DELIVERIES_MAX

Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Starts and ends of deliveries in a body."""


def check_lines(body: bytes, lookup: SeriesLookup, latest_s: int) -> Checked:
    """The deliveries of newline-delimited JSON; a line that is no JSON is left doubtful.

    Raises TooLargeBodyError when there are too many lines.
    """
    text = np.frombuffer(body, np.uint8)
    if np.count_nonzero(text == ord("\n")) > BODY_DELIVERIES_MAX:
        raise TooLargeBodyError(f"more than {BODY_DELIVERIES_MAX} lines")
    whole = (np.zeros(1, np.int64), np.full(1, len(body), np.int64))
    return check_spans(body, find_lines(text, *whole), lookup, latest_s)


def check_array(body: bytes, lookup: SeriesLookup, latest_s: int) -> Checked:
    """The elements of a JSON array.

    Raises UnreadableBodyError when the body as a whole is no JSON array, TooLargeBodyError when it has too many
    elements. The first is known without making objects of all of it: the splitter has checked brackets and commas,
    the parser what it took, and the rest is read here.
    """
    spans = find_elements(np.frombuffer(body, np.uint8), BODY_DELIVERIES_MAX)
    if spans is None:
        raise UnreadableBodyError("not a JSON array")
    if len(spans[0]) > BODY_DELIVERIES_MAX:
        raise TooLargeBodyError(f"more than {BODY_DELIVERIES_MAX} elements")
    checked = check_spans(body, spans, lookup, latest_s)
    for index in checked.doubtful().tolist():
        try:
            parse_json(checked.original(index))
        except NotJsonError as error:
            raise UnreadableBodyError(f"element {index} is {error}") from error
    return checked


def check_spans(body: bytes, spans: Spans, lookup: SeriesLookup, latest_s: int) -> Checked:
    """The deliveries body[start:end]."""
    starts, ends = spans
    text = np.frombuffer(body, np.uint8)
    lines = parse_lines(text, starts, ends, latest_s)
    meter_index = lookup.meters.find(text, lines.meter_start, lines.meter_end)
    register_index = lookup.registers.find(text, lines.register_start, lines.register_end)
    partition, slot = place_columns(lookup, meter_index, register_index)
    return Checked(
        good=lines.taken & (partition != NO_PARTITION),
        partition=partition,
        slot=slot,
        ts_s=lines.ts_s,
        value=lines.value,
        version=lines.version.astype(np.int32),
        original=lambda index: body[starts[index] : ends[index]],
    )
