"""Work beside the balance gives way to it: while the log is behind, it does little, but never nothing."""

import asyncio
import math
from collections.abc import Callable

_SHARE = 10
"""While the balance is behind, work beside it takes a tenth of the time: so it goes on, however long that lasts."""
_LOOK_S = 0.05


class GivingWay:
    """How long work beside the balance rests."""

    def __init__(self, behind: Callable[[], bool]) -> None:
        """`behind` says whether readings wait in the log for the balance."""
        self._behind = behind

    async def rest(self, worked_s: float) -> None:
        """Rests after work that took `worked_s`, as long as the balance is behind."""
        for _ in range(math.ceil((_SHARE - 1) * worked_s / _LOOK_S)):
            if not self._behind():
                return
            await asyncio.sleep(_LOOK_S)
