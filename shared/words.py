"""The field's words as enumerations: their values are the ones in the wire formats, the tables and the API."""

from enum import IntEnum, StrEnum


class Register(StrEnum):
    """A register of a meter, by its OBIS code (design section 1). Energy in Wh, power in W, content in Wh."""

    WITHDRAWN = "1.8.0"
    INJECTED = "2.8.0"
    POWER_WITHDRAWN = "1.7.0"
    POWER_INJECTED = "2.7.0"
    STATE_OF_CHARGE = "soc"

    @property
    def code(self) -> int:
        """The register's place in REGISTERS: what arrays hold instead of its name."""
        return REGISTERS.index(self)


REGISTERS: tuple[Register, ...] = tuple(Register)
"""Registers in the order of their codes 0 … 4; the two energy registers come first."""

ENERGY_REGISTERS = 2
"""Register codes below this one are energy registers: they count in balances."""


class MeterKind(StrEnum):
    """What a meter measures (design section 5)."""

    CONSUMER = "consumer"
    PROSUMER = "prosumer"
    PV = "pv"
    WIND = "wind"
    HYDRO = "hydro"
    BIOGAS = "biogas"
    STORAGE = "storage"
    EV = "ev"
    HEATPUMP = "heatpump"
    BOUNDARY = "boundary"

    @property
    def code(self) -> int:
        """The kind's place in METER_KINDS: what arrays hold instead of its name."""
        return METER_KINDS.index(self)


METER_KINDS: tuple[MeterKind, ...] = tuple(MeterKind)
"""Kinds in the order of their codes; boundary is the last, so that the codes before it index the sums by kind."""

SUMMED_KINDS: tuple[MeterKind, ...] = METER_KINDS[:-1]
"""The kinds that a zone's totals sum: all but boundary, which measures the zone and is no part of it."""

RENEWABLE_KINDS: tuple[MeterKind, ...] = (
    MeterKind.PV,
    MeterKind.WIND,
    MeterKind.HYDRO,
    MeterKind.BIOGAS,
    MeterKind.PROSUMER,
)
"""Kinds whose injection counts as renewable (design rule 6, `injected_res_wh`; section 8, `pool_injected_wh`)."""


class ZoneKind(StrEnum):
    """A level of the network's tree, from the whole to the smallest part."""

    CLUSTER = "cluster"
    GPZ = "gpz"
    FEEDER = "feeder"
    STATION = "station"
    CIRCUIT = "circuit"


class AssetKind(StrEnum):
    """Something that can shift energy."""

    STORAGE = "storage"
    EV = "ev"
    HEATPUMP = "heatpump"
    BIOGAS = "biogas"
    CURTAILABLE = "curtailable"
    LOAD = "load"


class Outcome(IntEnum):
    """What became of a delivery in the balancer (design rule 10)."""

    APPLIED = 0
    UNCHANGED = 1
    PENDING = 2
    CONFLICT = 3


class RejectReason(StrEnum):
    """Why a delivery was rejected: the first that fits, in this order (design rule 10)."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNKNOWN_METER = "unknown_meter"
    UNKNOWN_REGISTER = "unknown_register"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    BAD_VALUE = "bad_value"
    CONFLICT = "conflict"


class Status(StrEnum):
    """How settled a window is (design rule 9), from the least to the most."""

    OPEN = "open"
    PROVISIONAL = "provisional"
    FINAL = "final"


class LightState(StrEnum):
    """The traffic light of a zone (design section 4; BDEW traffic light, 2015)."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    STALE = "stale"
