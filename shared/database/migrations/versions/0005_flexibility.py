"""The tables of signals, forecasts and flexibility."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes all of them."""
    _make_signals()
    _make_forecasts()
    _make_requests()
    _make_reservations()
    _make_orders()
    _make_records()
    _make_verification()


def _make_signals() -> None:
    """The lights' memory, and the signals of each minute."""
    op.create_table(
        "zone_light",
        sa.Column("zone_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amber", sa.Boolean(), nullable=False),
        sa.Column("amber_low_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("red", sa.Boolean(), nullable=False),
        sa.Column("red_low_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", name="zone_light_pkey"),
    )
    op.create_table(
        "zone_signal",
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("net_w", sa.BigInteger(), nullable=True),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "at", name="zone_signal_pkey"),
    )
    op.create_index("zone_signal_at_index", "zone_signal", ["at"], unique=False)


def _make_forecasts() -> None:
    """Forecasts and their errors."""
    op.create_table(
        "forecast",
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "issued_at", name="forecast_pkey"),
    )
    op.create_index("forecast_issued_at_index", "forecast", ["issued_at"], unique=False)
    op.create_table(
        "forecast_error",
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("error_wh", sa.BigInteger(), nullable=False),
        sa.Column("naive_error_wh", sa.BigInteger(), nullable=False),
        sa.Column("covered", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "day", name="forecast_error_pkey"),
    )


def _make_requests() -> None:
    """What was asked for and offered."""
    op.create_table(
        "flexibility_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("direction IN ('up', 'down')", name="flexibility_request_direction_check"),
        sa.ForeignKeyConstraint(["zone_id"], ["zone_identity.zone_id"], name="flexibility_request_zone_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="flexibility_request_pkey"),
    )
    op.create_table(
        "flexibility_offer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Numeric(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["flexibility_request.id"], name="flexibility_offer_request_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="flexibility_offer_pkey"),
        sa.UniqueConstraint("request_id", name="flexibility_offer_request_id_key"),
    )
    op.create_index("flexibility_offer_status_index", "flexibility_offer", ["status"], unique=False)


def _make_reservations() -> None:
    """The ledger of promised power."""
    op.create_table(
        "flexibility_reservation",
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("cost_per_mwh", sa.Numeric(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("power_w > 0", name="flexibility_reservation_power_check"),
        sa.ForeignKeyConstraint(["offer_id"], ["flexibility_offer.id"], name="flexibility_reservation_offer_id_fkey"),
        sa.PrimaryKeyConstraint("offer_id", "asset", "window_start", name="flexibility_reservation_pkey"),
    )
    op.create_index(
        "flexibility_reservation_asset_index", "flexibility_reservation", ["asset", "window_start"], unique=False
    )
    op.create_index("flexibility_reservation_status_index", "flexibility_reservation", ["status"], unique=False)


def _make_orders() -> None:
    """Orders and their set-points."""
    op.create_table(
        "flexibility_order",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("power_w", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Numeric(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["flexibility_offer.id"], name="flexibility_order_offer_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="flexibility_order_pkey"),
        sa.UniqueConstraint("offer_id", name="flexibility_order_offer_id_key"),
    )
    op.create_index("flexibility_order_status_index", "flexibility_order", ["status"], unique=False)
    op.create_table(
        "flexibility_dispatch",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("setpoint_w", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledgement", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["flexibility_order.id"], name="flexibility_dispatch_order_id_fkey"),
        sa.PrimaryKeyConstraint("order_id", "asset", "window_start", name="flexibility_dispatch_pkey"),
    )


def _make_records() -> None:
    """Messages to be sent, the audit, answers already given."""
    op.create_table(
        "flexibility_outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="flexibility_outbox_pkey"),
        sa.UniqueConstraint("message_id", name="flexibility_outbox_message_id_key"),
    )
    op.create_table(
        "flexibility_audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="flexibility_audit_pkey"),
    )
    op.create_index("flexibility_audit_request_id_index", "flexibility_audit", ["request_id"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("status_code", sa.SmallInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("route", "key", name="idempotency_key_pkey"),
    )
    op.create_index("idempotency_key_created_at_index", "idempotency_key", ["created_at"], unique=False)


def _make_verification() -> None:
    """Frozen baselines, and what windows delivered."""
    op.create_table(
        "flexibility_baseline",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rrmse", sa.Numeric(), nullable=True),
        sa.Column("bias", sa.Numeric(), nullable=True),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["flexibility_order.id"], name="flexibility_baseline_order_id_fkey"),
        sa.PrimaryKeyConstraint("order_id", name="flexibility_baseline_pkey"),
    )
    op.create_table(
        "flexibility_verification",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("baseline_wh", sa.BigInteger(), nullable=False),
        sa.Column("actual_wh", sa.BigInteger(), nullable=False),
        sa.Column("ordered_wh", sa.BigInteger(), nullable=False),
        sa.Column("delivered_wh", sa.BigInteger(), nullable=False),
        sa.Column("deficiency_wh", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["flexibility_order.id"], name="flexibility_verification_order_id_fkey"),
        sa.PrimaryKeyConstraint("order_id", "window_start", "revision", name="flexibility_verification_pkey"),
    )
