"""A step that works ahead keeps the order, really overlaps, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from services.ingest.ahead import ahead


class Source:
    """Makes numbers, and notes what it made."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.made: list[int] = []
        self.closed = False
        self._count, self._error = count, error

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                await asyncio.sleep(0)
                self.made.append(number)
                yield number
            if self._error:
                raise self._error
        finally:
            self.closed = True


async def test_one_more_is_made_while_one_is_worked_on() -> None:
    source, seen = Source(5), []
    async with aclosing(ahead(source.numbers())) as numbers:
        async for number in numbers:
            for _ in range(10):
                await asyncio.sleep(0)
            assert source.made == list(range(min(number + 2, 5)))
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    assert source.closed


async def test_an_error_comes_in_its_place() -> None:
    source, seen = Source(2, ValueError("after two")), []
    async with aclosing(ahead(ahead(source.numbers()))) as numbers:
        with pytest.raises(ValueError, match="after two"):
            async for number in numbers:
                seen.append(number)  # noqa: PERF401  # what came before the error counts
    assert seen == [0, 1]


async def test_an_early_end_closes_the_source() -> None:
    source = Source(100)
    async with aclosing(ahead(ahead(source.numbers()))) as numbers:
        async for _ in numbers:
            break
    assert source.closed
    assert len(source.made) <= 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_worker_leaves_no_task() -> None:
    source = Source(100)

    async def work() -> None:
        async with aclosing(ahead(ahead(source.numbers()))) as numbers:
            async for _ in numbers:
                await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert source.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}
