"""When the fuse of the JSON topic blows: over 99 % of the last 100,000 lines and of those of the last 60 s."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.fuse import FIT, FUSE_REASONS, FuseWindows, verdicts_of
from services.ingest.fuse_keeper import FuseKeeper
from services.ingest.intake import Receipt
from shared.limits import FUSE_LINES, FUSE_S
from shared.settings import read_settings
from shared.words import RejectReason

MALFORMED, UNKNOWN_METER, UNKNOWN_REGISTER = 1, 2, 3


def lines(fit: int, unfit: int, code: int = UNKNOWN_METER) -> npt.NDArray[np.uint8]:
    """So many fit lines, then so many unfit ones."""
    return np.repeat(np.array([FIT, code], np.uint8), [fit, unfit])


def blown(*notes: tuple[npt.NDArray[np.uint8], float]) -> bool:
    """Whether the fuse blows at the last of `notes`."""
    windows = FuseWindows()
    for verdicts, at_s in notes:
        windows.note(verdicts, at_s)
    return windows.reason_to_blow() != ""


def test_fewer_lines_than_the_window_never_blow_it() -> None:
    assert not blown((lines(0, FUSE_LINES - 1), 0.0))
    assert blown((lines(0, FUSE_LINES - 1), 0.0), (lines(0, 1), 0.0))


def test_exactly_99_percent_holds_and_one_line_more_blows() -> None:
    fit = FUSE_LINES // 100
    assert not blown((lines(fit, FUSE_LINES - fit), 0.0))
    assert blown((lines(fit - 1, FUSE_LINES - fit + 1), 0.0))


def test_of_more_lines_than_the_window_the_last_ones_are_kept() -> None:
    many = np.append(lines(FUSE_LINES, 0), lines(0, FUSE_LINES + 5))
    assert blown((many, 0.0), (lines(0, 1), 100.0))


def test_the_last_lines_alone_are_not_enough() -> None:
    """2 % of the last minute were good: the last 100,000 lines are bad, the minute is not."""
    good, bad = (lines(4_000, 0), 0.0), lines(0, 2 * FUSE_LINES)
    assert not blown(good, (bad, FUSE_S - 1.0))
    assert blown(good, (bad, float(FUSE_S)))


def test_the_last_minute_alone_is_not_enough() -> None:
    """Few lines come: those of the last minute are bad, of the last 100,000 more than 1 % are good."""
    assert not blown((lines(2_000, FUSE_LINES - 2_500), 0.0), (lines(0, 500), 1_000.0))


def test_a_trickle_of_nothing_but_bad_lines_blows_it_in_the_end() -> None:
    windows = FuseWindows()
    windows.note(lines(1_001, 0), 0.0)
    for hour in range(1, 100):
        windows.note(lines(0, 1_000), hour * 3600.0)
        assert windows.reason_to_blow() == ""
    windows.note(lines(0, 1_000), 100 * 3600.0)
    assert "1,000 of the 1,000 read in the last 60 s" in windows.reason_to_blow()


def test_only_the_reasons_of_a_wrong_producer_count() -> None:
    places = {reason: [k] for k, reason in enumerate(RejectReason)}
    verdicts = verdicts_of(len(RejectReason) + 1, places)
    assert [list(RejectReason)[k] for k in np.flatnonzero(verdicts != FIT)] == list(FUSE_REASONS)


def test_the_reason_says_what_was_wrong_in_figures() -> None:
    windows = FuseWindows()
    windows.note(lines(10, 99_000), 0.0)
    windows.note(lines(0, 990, MALFORMED), 61.0)
    assert windows.reason_to_blow() == (
        "99,990 of the last 100,000 lines cannot be used (99,000 unknown_meter, 990 malformed), "
        "and 990 of the 990 read in the last 60 s"
    )


@pytest.mark.parametrize(("asked", "blows"), [("on", True), ("", True), ("off", False)])
def test_with_the_fuse_off_the_topic_is_never_stopped(asked: str, blows: bool) -> None:
    environment = {"BILANS_KAFKA": "k:1", "BILANS_DATABASE_URL": "postgresql://u@h/d", "BILANS_FUSE": asked}
    keeper = FuseKeeper(read_settings(environment), lambda: 0.0)
    keeper.judge(FUSE_LINES, Receipt(rejected_places={RejectReason.UNKNOWN_METER: list(range(FUSE_LINES))}))
    assert (keeper.stopped_because != "") == blows


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """(seconds since the note before, fit lines, unfit lines after them), near the threshold."""
    steps = st.tuples(st.integers(0, 40), st.integers(0, 700), st.integers(0, 250_000))
    return draw(st.lists(steps, min_size=1, max_size=12))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_it_decides_as_the_plain_rule_does(history: list[tuple[int, int, int]]) -> None:
    """The rule in plain words over all lines kept, after each note."""
    windows, verdicts, seconds, at_s = FuseWindows(), np.zeros(0, np.uint8), np.zeros(0, np.int64), 0
    for pause_s, fit, unfit in history:
        at_s += pause_s
        note = lines(fit, unfit, UNKNOWN_REGISTER)
        windows.note(note, at_s + 0.7)
        verdicts, seconds = np.append(verdicts, note), np.append(seconds, np.full(len(note), at_s))
        last, recent = verdicts[-FUSE_LINES:] != FIT, verdicts[seconds > at_s - FUSE_S] != FIT
        expected = len(last) == FUSE_LINES and last.mean() > 0.99 and len(recent) > 0 and recent.mean() > 0.99
        assert (windows.reason_to_blow() != "") == expected
