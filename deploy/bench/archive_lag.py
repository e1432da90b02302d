"""How far the archive was behind at one moment: readings in the log that no file held."""

from deploy.bench.log_content import readings_from
from shared.archive.files import Archive
from shared.settings import Settings


def archived_until(settings: Settings) -> dict[int, int]:
    """The first offset of each partition that no file of the archive holds."""
    archive = Archive(settings.archive)
    return {partition: archive.next_offset(partition) for partition in range(settings.partitions)}


async def readings_behind(settings: Settings, archived: dict[int, int]) -> int:
    """Readings in the log from these offsets on."""
    return sum([len(readings) async for _, readings in readings_from(settings, archived)])
