"""A small topology for the tests of ingest: names of every kind, each in a known place."""

from dataclasses import replace

import numpy as np

from services.ingest.lookup import SeriesLookup, build_lookup
from shared.topology.index import empty_topology
from shared.words import REGISTERS, Register

METERS = ["590322400000000017", "590322400000000024", "a", "zażółć", 'quo"ted', "back\\slash", "meter", "x" * 64]

_REGISTERS_BY_METER = [
    (Register.WITHDRAWN, Register.INJECTED),
    (Register.WITHDRAWN,),
    tuple(REGISTERS),
    *[(Register.WITHDRAWN, Register.STATE_OF_CHARGE)] * (len(METERS) - 3),
]

PLACES = {
    (METERS[meter], register.value): (meter % 3, 10 * meter + register.code)
    for meter, registers in enumerate(_REGISTERS_BY_METER)
    for register in registers
}
"""(meter, register) → (partition, slot)."""


def small_lookup() -> SeriesLookup:
    names = [meter for meter, _ in PLACES]
    topology = replace(
        empty_topology(),
        number=7,
        meter=METERS,
        series_meter=np.array([METERS.index(name) for name in names], np.int32),
        series_register=np.array([Register(register).code for _, register in PLACES], np.int8),
        series_partition=np.array([partition for partition, _ in PLACES.values()], np.int16),
        series_slot=np.array([slot for _, slot in PLACES.values()], np.int32),
    )
    return build_lookup(topology)
