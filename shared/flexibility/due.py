"""When an asset's energy is due: a time of day in Europe/Warsaw, daily (design section 5)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from shared.flexibility.assets import NEVER_DUE_S
from shared.instants import WARSAW, local_day


class DueTimes:
    """The times of day of some assets, each distinct one looked at once."""

    def __init__(self, due_at: Sequence[str | None]) -> None:
        """`due_at` of each asset, HH:MM, None where nothing is due at a time."""
        texts = sorted({text for text in due_at if text is not None})
        place = {text: number for number, text in enumerate(texts)}
        self._minutes = [(int(text[:2]), int(text[3:])) for text in texts]
        self._place = np.array([len(texts) if text is None else place[text] for text in due_at], np.int64)

    def due_in_s(self, now_s: int) -> npt.NDArray[np.int64]:
        """How long it is from `now_s` to each asset's next time, NEVER_DUE_S where it has none; above 0."""
        wait_s = [next_local_time_s(hour, minute, now_s) - now_s for hour, minute in self._minutes]
        return np.array([*wait_s, NEVER_DUE_S], np.int64)[self._place]


def next_local_time_s(hour: int, minute: int, now_s: int) -> int:
    """The first instant after `now_s` at which a clock in Warsaw shows the time.

    On the day on which it does not (02:30 when summer time begins) the instant that would have been it by the clock
    before the change; on the day on which it does twice, the first of them.
    """
    day = local_day(now_s)
    for ahead in range(3):
        then = day + timedelta(days=ahead)
        instant_s = int(datetime(then.year, then.month, then.day, hour, minute, tzinfo=WARSAW).timestamp())
        if instant_s > now_s:
            return instant_s
    raise AssertionError("a time of day comes within two days")
