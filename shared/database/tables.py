"""The tables of PostgreSQL (SQLAlchemy Core). Alembic's migrations make them; nothing else does."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.words import SUMMED_KINDS

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def _instant(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


# --- identities: given at first load, never changed, never reused -------------------------------------------------

zone_identity = Table(
    "zone_identity",
    metadata,
    Column("zone_id", Integer, primary_key=True, autoincrement=False),
    Column("zone", Text, nullable=False, unique=True),
)
"""A zone's number: rows of partial sums carry it instead of the name."""

meter_identity = Table(
    "meter_identity",
    metadata,
    Column("meter_id", Integer, primary_key=True, autoincrement=False),
    Column("meter", Text, nullable=False, unique=True),
    Column("home_partition", SmallInteger, nullable=False),
)
"""A meter's number and home partition (design section 5): neither a move nor a new partition changes it."""

series_identity = Table(
    "series_identity",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("meter_id", Integer, ForeignKey("meter_identity.meter_id"), nullable=False),
    Column("register", SmallInteger, nullable=False),
    PrimaryKeyConstraint("partition", "slot"),
    UniqueConstraint("meter_id", "register"),
)
"""A series' slot: dense from 0 in its home partition; `register` is the code of shared.words.Register."""

# --- the topology, whole under each number ------------------------------------------------------------------------

topology = Table(
    "topology",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("loaded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _instant("logged_at"),
)
"""A loaded topology; `logged_at` is when its control record stood in every partition of bilans.readings."""

topology_zone = Table(
    "topology_zone",
    metadata,
    Column("topology", Integer, ForeignKey("topology.number", ondelete="CASCADE"), nullable=False),
    Column("zone_id", Integer, ForeignKey("zone_identity.zone_id"), nullable=False),
    Column("parent_id", Integer),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("import_limit_kw", Numeric),
    Column("export_limit_kw", Numeric),
    Column("lat", Float),
    Column("lon", Float),
    PrimaryKeyConstraint("topology", "zone_id"),
)

topology_member = Table(
    "topology_member",
    metadata,
    Column("topology", Integer, ForeignKey("topology.number", ondelete="CASCADE"), nullable=False),
    Column("member", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("excluded", Boolean, nullable=False),
    PrimaryKeyConstraint("topology", "member"),
)

topology_meter = Table(
    "topology_meter",
    metadata,
    Column("topology", Integer, ForeignKey("topology.number", ondelete="CASCADE"), nullable=False),
    Column("row", Integer, nullable=False),
    Column("meter_id", Integer, ForeignKey("meter_identity.meter_id"), nullable=False),
    Column("zone_id", Integer, ForeignKey("zone_identity.zone_id"), nullable=False),
    Column("member", Text),
    Column("kind", Text, nullable=False),
    Column("registers", Text, nullable=False),
    Column("max_kw", Numeric),
    _instant("valid_from"),
    _instant("valid_to"),
    PrimaryKeyConstraint("topology", "row"),
)
"""A meter's row: where it counts from `valid_from` to `valid_to`; a meter may have several."""

topology_asset = Table(
    "topology_asset",
    metadata,
    Column("topology", Integer, ForeignKey("topology.number", ondelete="CASCADE"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("meter_id", Integer, ForeignKey("meter_identity.meter_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("up_kw", Numeric),
    Column("down_kw", Numeric),
    Column("energy_kwh", Numeric),
    Column("efficiency", Numeric),
    Column("cost_per_mwh", Numeric),
    Column("reserve_kwh", Numeric),
    Column("due_kwh", Numeric),
    Column("due_at", Text),
    Column("rebound", Numeric),
    PrimaryKeyConstraint("topology", "asset"),
)

topology_exchange = Table(
    "topology_exchange",
    metadata,
    Column("topology", Integer, ForeignKey("topology.number", ondelete="CASCADE"), nullable=False),
    Column("meter_id", Integer, ForeignKey("meter_identity.meter_id"), nullable=False),
    Column("register", SmallInteger, nullable=False),
    _instant("at", nullable=False),
    Column("last_wh", BigInteger),
    Column("first_wh", BigInteger),
    PrimaryKeyConstraint("topology", "meter_id", "register", "at"),
)

# --- what a flush writes ------------------------------------------------------------------------------------------

progress = Table(
    "progress",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("owner_epoch", BigInteger, nullable=False, server_default="0"),
    Column("owner", Text, nullable=False, server_default=""),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
    Column("next_position", Integer, nullable=False, server_default="0"),
    Column("history_step", BigInteger, nullable=False, server_default="0"),
    Column("late_until", BigInteger, nullable=False, server_default="-1"),
    Column("late_slot", Integer, nullable=False, server_default="0"),
    Column("topology", Integer, nullable=False, server_default="0"),
    _instant("event_now"),
    _instant("closed_until"),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("topic", "partition"),
)
"""How far a partition's results are in these tables, and who alone may move it (design section 7, steps 1 and 2):
all messages before `next_offset`, and of that message the readings before `next_position`. `history_step` counts the
steps that changed results beside the log: late readings applied, windows recounted after a change of topology. Of a
batch of late readings under way `late_until` is its last message (−1: none is), and its series before `late_slot` are
done."""

SUM_COLUMNS: tuple[str, ...] = (
    *(f"{kind}_{flow}_wh" for kind in SUMMED_KINDS for flow in ("withdrawn", "injected")),
    "pool_drawn_wh",
    "pool_injected_wh",
    "boundary_wh",
    "boundary_known",
    "measured",
    "estimated",
    "excluded",
)
"""The sums of a partial row, in the order in which the kernel keeps them: energy by kind, the pool (design section 8),
Σ(1.8.0 − 2.8.0) of the boundary meters and how many of their registers are known, and the counts of rule 6."""


def _partial_columns() -> list[Column[Any]]:
    return [
        Column("partition", SmallInteger, nullable=False),
        Column("zone_id", Integer, nullable=False),
        _instant("window_start", nullable=False),
        Column("revision", Integer, nullable=False),
        _instant("known_at", nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("topology", Integer, nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in SUM_COLUMNS),
    ]


partial = Table(
    "partial",
    metadata,
    *_partial_columns(),
    PrimaryKeyConstraint("zone_id", "window_start", "partition"),
    # No index may name `revision`, not even as a condition: its updates could then not stay in their page (HOT).
    Index("partial_window_index", "partition", "window_start"),
    postgresql_with={"fillfactor": 70},
)
"""The newest state of what one partition knows of a zone's window; an answer sums them over partitions."""

partial_revision = Table(
    "partial_revision",
    metadata,
    *_partial_columns(),
    PrimaryKeyConstraint("zone_id", "window_start", "partition", "revision"),
)
"""Every revision (1 and up) of every partial row, appended and never changed (design rule 9). Of windows that started
before `retention.since` only the newest is kept."""

retention = Table(
    "retention",
    metadata,
    Column("content", Text, primary_key=True),
    _instant("since", nullable=False),
)
"""From when on all of some content is kept: `revisions`, by the start of their windows. It is moved on before anything
is removed, and never back, so an answer that is worked out before it is read lacks nothing from `since` on."""

books = Table(
    "books",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("deliveries", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic", "partition", "outcome"),
)
"""The books (rule 10): `received`, `applied`, `unchanged`, `pending` and `rejected:REASON`, each counted in the
transaction that handles the delivery. `topic` and `partition` say whose progress row that transaction moved."""

late_queue = Table(
    "late_queue",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("readings", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("partition", "log_offset", "position"),
)
"""The late queue of a partition (rule 11), in the order of the log: a row holds late readings of one message, from
`position` on, packed by shared.balance.late."""

recount = Table(
    "recount",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("topology_before", Integer, nullable=False),
    Column("topology_after", Integer, nullable=False),
    Column("windows", BigInteger, nullable=False),
    Column("next_slot", Integer, nullable=False, server_default="0"),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("partition", "log_offset"),
)
"""What a switch of topology at `log_offset` still asks for: the series whose windows older than memory count
differently, until they are recounted from the archive (design section 5). Those before `next_slot` are done; `windows`
are to go, at least."""

deferred_change = Table(
    "deferred_change",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("windows", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("partition", "id"),
)
"""Changes of windows that one transaction could not hold: the partition's owner adds them with its next flushes."""

series_memory = Table(
    "series_memory",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("history_step", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("partition", "slot"),
)
"""What a series holds in memory since late readings came into it, at `next_offset` of the log and `history_step`: the
log alone does not bring that back, so a balancer that replays the log takes it from here."""

rejected_reading = Table(
    "rejected_reading",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("meter", Text),
    Column("register", Text),
    Column("ts", Text),
    Column("position", Text, nullable=False),
    Column("original", LargeBinary, nullable=False),
    Column("rejected_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _instant("retried_at"),
    PrimaryKeyConstraint("topic", "partition", "log_offset"),
    Index(None, "reason"),
    Index(None, "meter"),
)
"""What was rejected and why; `topic`, `partition` and `log_offset` are its place in `bilans.rejected`. `retried_at` is
when it was last sent again."""

fuse = Table(
    "fuse",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("blown_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""A topic that ingest has stopped reading because nearly all of it was bad; deleting the row lets it go on."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("partition", SmallInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("topic_partition", SmallInteger),
    Column("headers", JSONB, nullable=False, server_default="{}"),
    Column("value", LargeBinary, nullable=False),
    Index(None, "partition", "id"),
)
"""Messages that a flush decided on; the owner of `partition` sends them after the commit and deletes them."""

# --- who is there -------------------------------------------------------------------------------------------------

service_instance = Table(
    "service_instance",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("topology", Integer, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""A heartbeat of each running ingest and balancer, once a second; older than five seconds means gone."""
