"""The fuse of the JSON topic: decides when nearly all that comes is so bad that reading on would only bury the cause.

Pure: verdicts and the time come as arguments. Each ingest process decides over the lines that it has judged itself.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.limits import FUSE_LINES, FUSE_PERCENT, FUSE_S
from shared.words import RejectReason

FUSE_REASONS = (RejectReason.MALFORMED, RejectReason.UNKNOWN_METER, RejectReason.UNKNOWN_REGISTER)
"""What a wrong producer or a wrong topology makes of every line; bad values and instants come from single meters."""

FIT = 0
"""The verdict on a line that speaks for the topic: accepted, or rejected for a reason of its own."""

_VERDICTS = len(FUSE_REASONS) + 1


def verdicts_of(lines: int, places_by_reason: dict[RejectReason, list[int]]) -> npt.NDArray[np.uint8]:
    """A verdict on each of so many lines: FIT, or 1 + the reason's place in FUSE_REASONS."""
    verdicts = np.full(lines, FIT, np.uint8)
    for code, reason in enumerate(FUSE_REASONS, start=1):
        verdicts[places_by_reason.get(reason, [])] = code
    return verdicts


@dataclass(slots=True)
class _Second:
    """What was judged in one second."""

    at_s: int
    lines: int
    unfit: int


class FuseWindows:
    """The last FUSE_LINES lines, and those of the last FUSE_S seconds.

    A line counts at the second in which it was judged, whatever its own time: a backlog is judged as it is read. So in
    a topic that comes in bursts the last seconds hold what came in them, at least the lines noted last, and a few bad
    lines a day blow the fuse only once they alone are nearly all of the last FUSE_LINES.
    """

    def __init__(self) -> None:
        """Nothing is judged yet: the fuse holds until FUSE_LINES lines are."""
        self._last = np.full(FUSE_LINES, FIT, np.uint8)
        self._next = 0
        self._noted = 0
        self._seconds: deque[_Second] = deque()

    def note(self, verdicts: npt.NDArray[np.uint8], at_s: float) -> None:
        """Takes in the verdicts on lines judged at `at_s`, seconds of a clock that never goes back."""
        newest = verdicts[-FUSE_LINES:]
        self._last[(self._next + np.arange(len(newest))) % FUSE_LINES] = newest
        self._next = (self._next + len(newest)) % FUSE_LINES
        self._noted += len(verdicts)
        second = int(at_s)
        if not self._seconds or self._seconds[-1].at_s != second:
            self._seconds.append(_Second(second, 0, 0))
        self._seconds[-1].lines += len(verdicts)
        self._seconds[-1].unfit += int(np.count_nonzero(verdicts != FIT))
        while self._seconds[0].at_s <= second - FUSE_S:
            self._seconds.popleft()

    def reason_to_blow(self) -> str:
        """Why the fuse has to blow, a sentence for people; empty while it holds."""
        if self._noted < FUSE_LINES:
            return ""
        counts = np.bincount(self._last, minlength=_VERDICTS)
        unfit = FUSE_LINES - int(counts[FIT])
        recent_lines = sum(second.lines for second in self._seconds)
        recent_unfit = sum(second.unfit for second in self._seconds)
        if not (_nearly_all(unfit, FUSE_LINES) and _nearly_all(recent_unfit, recent_lines)):
            return ""
        by_reason = sorted(zip(counts[1:].tolist(), FUSE_REASONS, strict=True), key=lambda item: -item[0])
        said = ", ".join(f"{count:,} {reason}" for count, reason in by_reason if count)
        return (
            f"{unfit:,} of the last {FUSE_LINES:,} lines cannot be used ({said}), "
            f"and {recent_unfit:,} of the {recent_lines:,} read in the last {FUSE_S} s"
        )


def _nearly_all(unfit: int, lines: int) -> bool:
    return 100 * unfit > FUSE_PERCENT * lines
