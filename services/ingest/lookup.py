"""From names to places: which series, hence which partition and slot, a meter and a register name are."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.ingest.name_table import NameTable, build_name_table
from shared.topology.index import Topology
from shared.words import REGISTERS, Register

NO_PARTITION = -1
"""In `SeriesLookup.partition`: the meter has no such register in any row."""


class Place(NamedTuple):
    """Where a series is kept."""

    partition: int
    slot: int


def _register_codes() -> dict[str, int]:
    """Register names as senders write them → code: the short ones, and the full OBIS form with medium 1, channel 0."""
    codes = {register.value: register.code for register in REGISTERS}
    full = {f"1-0:{name}*255": code for name, code in codes.items() if name != Register.STATE_OF_CHARGE}
    return codes | full


REGISTER_CODES: dict[str, int] = _register_codes()
"""Design rule 10: `1-0:1.8.0*255` is read as `1.8.0`."""


@dataclass(frozen=True, slots=True)
class SeriesLookup:
    """The series of one topology, for one by one (`meter_index`) and for whole columns (the name tables)."""

    number: int
    """The topology's number."""
    meter_index: dict[str, int]
    meters: NameTable
    registers: NameTable
    """Index = place in REGISTER_CODES."""
    register_code: npt.NDArray[np.int64]
    """Code by index in `registers`."""
    partition: npt.NDArray[np.int16]
    """Partition by meter index · len(REGISTERS) + register code; NO_PARTITION where the meter has no such register."""
    slot: npt.NDArray[np.int32]
    """Slot in that partition, by the same index."""

    def find(self, meter_index: int, register_code: int) -> Place | None:
        """The place of a meter's register; None when no row of the meter has it."""
        series = meter_index * len(REGISTERS) + register_code
        partition = int(self.partition[series])
        return None if partition == NO_PARTITION else Place(partition, int(self.slot[series]))


def build_lookup(topology: Topology) -> SeriesLookup:
    """The lookup of `topology`; seconds for millions of meters, so in a worker thread."""
    series_count = len(topology.meter) * len(REGISTERS)
    partition = np.full(series_count, NO_PARTITION, np.int16)
    slot = np.zeros(series_count, np.int32)
    series = topology.series_meter.astype(np.int64) * len(REGISTERS) + topology.series_register
    partition[series] = topology.series_partition
    slot[series] = topology.series_slot
    return SeriesLookup(
        number=topology.number,
        meter_index={meter: index for index, meter in enumerate(topology.meter)},
        meters=build_name_table(topology.meter),
        registers=build_name_table(list(REGISTER_CODES)),
        register_code=np.array(list(REGISTER_CODES.values()), np.int64),
        partition=partition,
        slot=slot,
    )
