"""Steps of a pipeline that overlap."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

_Item = TypeVar("_Item")


async def ahead(items: AsyncGenerator[_Item, None]) -> AsyncGenerator[_Item, None]:
    """The items of `items` in their order; the following one is made while the caller works on this one.

    Not more than one is held. What `items` raises is raised in its place. It is closed with this generator, which its
    caller has to close (`contextlib.aclosing`).
    """
    following = asyncio.create_task(_next(items))
    try:
        while (made := await following) is not None:
            following = asyncio.create_task(_next(items))
            yield made[0]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await items.aclose()


async def _next(items: AsyncGenerator[_Item, None]) -> tuple[_Item] | None:
    async for item in items:
        return (item,)
    return None
