"""What stands in a topology folder (design section 5): its files, its columns, and what is wrong with them."""

from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from shared.errors import BilansError
from shared.words import AssetKind


@dataclass(frozen=True, slots=True)
class FileColumns:
    """One CSV file of the folder: which columns it may have, which it must have, and whether it must exist."""

    file: str
    columns: tuple[str, ...]
    needed: tuple[str, ...]
    must_exist: bool


ZONES = FileColumns(
    "zones.csv",
    ("zone", "parent", "kind", "name", "import_limit_kw", "export_limit_kw", "lat", "lon"),
    ("zone", "parent", "kind"),
    must_exist=True,
)
MEMBERS = FileColumns("members.csv", ("member", "name", "kind", "excluded"), ("member",), must_exist=False)
METERS = FileColumns(
    "meters.csv",
    ("meter", "zone", "member", "kind", "registers", "max_kw", "valid_from", "valid_to"),
    ("meter", "zone", "kind", "registers"),
    must_exist=True,
)
ASSETS = FileColumns(
    "assets.csv",
    (
        "asset",
        "meter",
        "kind",
        "up_kw",
        "down_kw",
        "energy_kwh",
        "efficiency",
        "cost_per_mwh",
        "reserve_kwh",
        "due_kwh",
        "due_at",
        "rebound",
    ),
    ("asset", "meter", "kind"),
    must_exist=False,
)
EXCHANGES = FileColumns(
    "exchanges.csv", ("meter", "register", "at", "last_wh", "first_wh"), ("meter", "register", "at"), must_exist=False
)

FILES = (ZONES, MEMBERS, METERS, ASSETS, EXCHANGES)


@dataclass(frozen=True, slots=True, order=True)
class TopologyError:
    """One thing that is wrong in a folder; `line` counts from 1, 0 is the file as a whole."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        """`meters.csv:17: unknown zone 'S9'`."""
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class TopologyErrors(BilansError):  # noqa: N818 (the plural: it holds all of them)
    """Everything that is wrong in a folder, sorted by file and line; nothing of the folder was loaded."""

    def __init__(self, folder: str, errors: list[TopologyError]) -> None:
        """`errors` in any order; they are kept sorted in `self.errors`."""
        self.errors = sorted(errors)
        count = f"{len(self.errors)} errors" if len(self.errors) > 1 else "1 error"
        self.headline = f"{count} in the topology {folder}; nothing was loaded."
        """One line for all."""
        super().__init__("\n".join([self.headline, *map(str, self.errors)]))


@dataclass(frozen=True, slots=True)
class Member:
    """Who owns meters."""

    member: str
    name: str
    kind: str
    excluded: bool
    """Settled as a prosumer, so not in the pool (design section 8)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that can shift energy (design section 4); None where the folder says nothing."""

    asset: str
    meter: str
    kind: AssetKind
    up_kw: Decimal | None
    down_kw: Decimal | None
    energy_kwh: Decimal | None
    """None: no energy limit."""
    efficiency: Decimal | None
    """Of the round trip, above 0 up to 1; lost on charging."""
    cost_per_mwh: Decimal | None
    reserve_kwh: Decimal | None
    due_kwh: Decimal | None
    due_at: str | None
    """HH:MM, Europe/Warsaw, daily."""
    rebound: Decimal | None
    """kWh that come back per kWh shifted."""


@dataclass(frozen=True, slots=True)
class FolderContent:
    """A folder that is right: its five tables in canonical form, the same for the same content.

    Decimal numbers are text without exponent or superfluous zeros, instants int64 seconds since 1970, blank is null.
    """

    zones: pa.Table
    """zone, parent (null: the root), kind, name, import_limit_kw, export_limit_kw (text), lat, lon (float64);
    each zone followed at once by the zones below it, siblings in the order of the file."""
    members: pa.Table
    """member, name, kind, excluded (bool); sorted by member. Without members.csv: every member that a meter names."""
    meters: pa.Table
    """meter, zone, member, kind, registers (text), register_bits (int8, bit k is register code k), max_kw (text),
    valid_from, valid_to (int64); sorted by meter and valid_from, blank first."""
    assets: pa.Table
    """The columns of assets.csv, numbers as text; sorted by asset."""
    exchanges: pa.Table
    """meter, register (text), at, last_wh, first_wh (int64); sorted by meter, register and at."""
