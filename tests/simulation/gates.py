"""Where simulated work stands still until the scheduler lets it go on: all that happens happens in the seed's order."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, ParamSpec, TypeVar

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")
_TURNS = 12
"""Turns of the event loop in which everything that is not at a gate comes to one: no real I/O is under way."""


class Gates:
    """The gates at which tasks wait."""

    def __init__(self, random: Random) -> None:
        """`random` is the seed's."""
        self.random = random
        self._waiting: list[asyncio.Future[None]] = []

    async def pause(self) -> None:
        """Stands still until the scheduler picks this one."""
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(gate)
        await gate

    async def sleep(self, _seconds: float) -> None:
        """Time is nothing but a gate."""
        await self.pause()

    async def in_worker(self, function: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> Any:
        """Runs a function as the kernel's thread would: later, and whole."""
        await self.pause()
        return function(*given, **named)

    async def release_one(self) -> bool:
        """Lets one of those that wait go on, until it stands still again; whether there was one."""
        await self.settle()
        self._waiting = [gate for gate in self._waiting if not gate.done()]
        if not self._waiting:
            return False
        gate = self._waiting.pop(self.random.randrange(len(self._waiting)))
        gate.set_result(None)
        await self.settle()
        return True

    async def settle(self) -> None:
        """Lets every task come to its gate."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
