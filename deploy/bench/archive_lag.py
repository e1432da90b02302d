"""How far the archive is behind: readings in the log that no file holds."""

import asyncio
import time

from deploy.bench.log_content import log_ends, readings_from
from shared.archive.files import Archive
from shared.errors import BilansError
from shared.settings import Settings

_BEHIND_S_MAX = 300.0
_QUESTION_S = 0.2


def archived_until(settings: Settings) -> dict[int, int]:
    """The first offset of each partition that no file of the archive holds."""
    archive = Archive(settings.archive)
    return {partition: archive.next_offset(partition) for partition in range(settings.partitions)}


async def readings_behind(settings: Settings, archived: dict[int, int]) -> int:
    """Readings in the log from these offsets on."""
    return sum([len(readings) async for _, readings in readings_from(settings, archived)])


async def wait_archived(settings: Settings) -> None:
    """Returns when files hold all that stands in the log now. Raises BilansError when that takes minutes."""
    ends = await log_ends(settings)
    until = time.monotonic() + _BEHIND_S_MAX
    while True:
        archived = await asyncio.to_thread(archived_until, settings)
        if all(archived[partition] >= end for partition, end in ends.items()):
            return
        if time.monotonic() > until:
            raise BilansError(f"The archive is still behind after {_BEHIND_S_MAX:.0f} s.")
        await asyncio.sleep(_QUESTION_S)
