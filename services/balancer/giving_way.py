"""Work beside the balance gives way to it: while the log is behind, it does little, but never nothing."""

import asyncio
import math
from collections.abc import Awaitable, Callable

_SHARE = 10
"""While the balance is behind, work beside it takes a tenth of the time: so it goes on, however long that lasts."""
_LOOK_S = 0.05
_WAIT_S_MAX = 30.0
"""Work whose steps take seconds waits so long for the balance before each."""


class GivingWay:
    """How long work beside the balance rests."""

    def __init__(self, behind: Callable[[], bool], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """`behind` says whether readings wait in the log for the balance; `sleep` lets time pass."""
        self._behind = behind
        self._sleep = sleep

    async def rest(self, worked_s: float) -> None:
        """Rests after work that took `worked_s`, as long as the balance is behind."""
        for _ in range(math.ceil((_SHARE - 1) * worked_s / _LOOK_S)):
            if not self._behind():
                return
            await self._sleep(_LOOK_S)

    async def wait(self) -> None:
        """Waits until the balance is not behind, but not for ever."""
        for _ in range(math.ceil(_WAIT_S_MAX / _LOOK_S)):
            if not self._behind():
                return
            await self._sleep(_LOOK_S)
