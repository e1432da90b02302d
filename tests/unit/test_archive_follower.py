"""The archive's follower: what could not be written stands before all that comes after it."""

from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord

from services.balancer.archive_follower import ArchiveFollower
from services.balancer.giving_way import GivingWay
from shared.readings_message import TOPOLOGY_HEADERS, encode_topology_switch
from shared.settings import Settings, read_settings
from shared.topology.index import Topology, empty_topology


async def no_topology() -> Topology:
    """Nothing has a name."""
    return empty_topology()


def control_record(offset: int) -> ConsumerRecord:
    """A message of partition 0."""
    value = encode_topology_switch(1)
    return ConsumerRecord("bilans.readings", 0, offset, 0, 0, None, value, None, 0, len(value), TOPOLOGY_HEADERS)


def settings_in(folder: Path) -> Settings:
    """Nothing is connected; the archive is below `folder`."""
    return read_settings(
        {
            "BILANS_KAFKA": "127.0.0.1:1",
            "BILANS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "BILANS_DATA_DIR": str(folder),
        }
    )


async def test_a_partition_that_goes_while_names_are_asked_for_is_not_written(tmp_path: Path) -> None:
    async def lost_meanwhile() -> Topology:
        follower.drop([0])
        return empty_topology()

    follower = ArchiveFollower(settings_in(tmp_path), lost_meanwhile, GivingWay(lambda: False))
    follower.begin(0, 0)
    follower._take(0, control_record(0))
    await follower._write_due(0.0)
    assert follower.archive.cover(0) == []


async def test_what_could_not_be_written_leaves_no_hole(tmp_path: Path) -> None:
    """Files tell how far the archive has got: one of later messages alone would hide what is missing for ever."""
    settings = settings_in(tmp_path)
    follower = ArchiveFollower(settings, no_topology, GivingWay(lambda: False))
    in_the_way = Path(settings.archive) / "readings"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    follower.begin(0, 0)
    follower._take(0, control_record(0))
    with pytest.raises(OSError, match="readings"):
        await follower._write_due(0.0)
    in_the_way.unlink()
    follower._take(0, control_record(1))
    await follower._write_due(0.0)  # what a follower does last, when it is told to end
    assert [(piece.first_offset, piece.end_offset) for piece in follower.archive.cover(0)] == [(0, 1), (1, 2)]
