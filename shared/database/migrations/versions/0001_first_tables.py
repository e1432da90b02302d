"""The first tables: identities, topology, partial sums, books and heartbeats."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes all tables."""
    _make_identities()
    _make_topology()
    _make_partials()
    _make_books()
    _make_instances()


def _make_identities() -> None:
    """Numbers that zones, meters and series keep for good."""
    op.create_table(
        "zone_identity",
        sa.Column("zone_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", name="zone_identity_pkey"),
        sa.UniqueConstraint("zone", name="zone_identity_zone_key"),
    )
    op.create_table(
        "meter_identity",
        sa.Column("meter_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("home_partition", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name="meter_identity_pkey"),
        sa.UniqueConstraint("meter", name="meter_identity_meter_key"),
    )
    op.create_table(
        "series_identity",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter_identity.meter_id"], name="series_identity_meter_id_fkey"),
        sa.PrimaryKeyConstraint("partition", "slot", name="series_identity_pkey"),
        sa.UniqueConstraint("meter_id", "register", name="series_identity_meter_id_register_key"),
    )


def _make_topology() -> None:
    """The topology, whole under each number."""
    op.create_table(
        "topology",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("logged_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name="topology_pkey"),
    )
    op.create_table(
        "topology_zone",
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("import_limit_kw", sa.Numeric(), nullable=True),
        sa.Column("export_limit_kw", sa.Numeric(), nullable=True),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["topology"], ["topology.number"], name="topology_zone_topology_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone_identity.zone_id"], name="topology_zone_zone_id_fkey"),
        sa.PrimaryKeyConstraint("topology", "zone_id", name="topology_zone_pkey"),
    )
    op.create_table(
        "topology_member",
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["topology"], ["topology.number"], name="topology_member_topology_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("topology", "member", name="topology_member_pkey"),
    )
    op.create_table(
        "topology_meter",
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("registers", sa.Text(), nullable=False),
        sa.Column("max_kw", sa.Numeric(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter_identity.meter_id"], name="topology_meter_meter_id_fkey"),
        sa.ForeignKeyConstraint(
            ["topology"], ["topology.number"], name="topology_meter_topology_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone_identity.zone_id"], name="topology_meter_zone_id_fkey"),
        sa.PrimaryKeyConstraint("topology", "row", name="topology_meter_pkey"),
    )
    op.create_table(
        "topology_asset",
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("up_kw", sa.Numeric(), nullable=True),
        sa.Column("down_kw", sa.Numeric(), nullable=True),
        sa.Column("energy_kwh", sa.Numeric(), nullable=True),
        sa.Column("efficiency", sa.Numeric(), nullable=True),
        sa.Column("cost_per_mwh", sa.Numeric(), nullable=True),
        sa.Column("reserve_kwh", sa.Numeric(), nullable=True),
        sa.Column("due_kwh", sa.Numeric(), nullable=True),
        sa.Column("due_at", sa.Text(), nullable=True),
        sa.Column("rebound", sa.Numeric(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter_identity.meter_id"], name="topology_asset_meter_id_fkey"),
        sa.ForeignKeyConstraint(
            ["topology"], ["topology.number"], name="topology_asset_topology_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("topology", "asset", name="topology_asset_pkey"),
    )
    op.create_table(
        "topology_exchange",
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_wh", sa.BigInteger(), nullable=True),
        sa.Column("first_wh", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter_identity.meter_id"], name="topology_exchange_meter_id_fkey"),
        sa.ForeignKeyConstraint(
            ["topology"], ["topology.number"], name="topology_exchange_topology_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("topology", "meter_id", "register", "at", name="topology_exchange_pkey"),
    )


def _make_partials() -> None:
    """Partial sums and their revisions."""
    op.create_table(
        "partial",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("consumer_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("consumer_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("prosumer_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("prosumer_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("pv_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("pv_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("wind_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("wind_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("hydro_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("hydro_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("biogas_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("biogas_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("storage_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("storage_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("ev_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("ev_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("heatpump_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("heatpump_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("pool_drawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("pool_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("boundary_wh", sa.BigInteger(), nullable=False),
        sa.Column("boundary_known", sa.BigInteger(), nullable=False),
        sa.Column("measured", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.BigInteger(), nullable=False),
        sa.Column("excluded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "window_start", "partition", name="partial_pkey"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "partial_window_index",
        "partial",
        ["partition", "window_start"],
        unique=False,
    )
    op.create_table(
        "partial_revision",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("consumer_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("consumer_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("prosumer_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("prosumer_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("pv_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("pv_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("wind_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("wind_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("hydro_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("hydro_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("biogas_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("biogas_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("storage_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("storage_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("ev_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("ev_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("heatpump_withdrawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("heatpump_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("pool_drawn_wh", sa.BigInteger(), nullable=False),
        sa.Column("pool_injected_wh", sa.BigInteger(), nullable=False),
        sa.Column("boundary_wh", sa.BigInteger(), nullable=False),
        sa.Column("boundary_known", sa.BigInteger(), nullable=False),
        sa.Column("measured", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.BigInteger(), nullable=False),
        sa.Column("excluded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "window_start", "partition", "revision", name="partial_revision_pkey"),
    )


def _make_books() -> None:
    """Progress, the books, and deliveries that wait or were rejected."""
    op.create_table(
        "progress",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("owner_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("next_offset", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("topology", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_now", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="progress_pkey"),
    )
    op.create_table(
        "books",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", "outcome", name="books_pkey"),
    )
    op.create_table(
        "late_reading",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("ts_s", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("partition", "log_offset", "position", name="late_reading_pkey"),
    )
    op.create_table(
        "rejected_reading",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=True),
        sa.Column("register", sa.Text(), nullable=True),
        sa.Column("ts", sa.Text(), nullable=True),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("original", sa.LargeBinary(), nullable=False),
        sa.Column("rejected_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", "log_offset", name="rejected_reading_pkey"),
    )
    op.create_index("rejected_reading_meter_index", "rejected_reading", ["meter"], unique=False)
    op.create_index("rejected_reading_reason_index", "rejected_reading", ["reason"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("topic_partition", sa.SmallInteger(), nullable=True),
        sa.Column("headers", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
    )
    op.create_index("outbox_partition_id_index", "outbox", ["partition", "id"], unique=False)


def _make_instances() -> None:
    """Heartbeats."""
    op.create_table(
        "service_instance",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("topology", sa.Integer(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("instance", name="service_instance_pkey"),
    )
