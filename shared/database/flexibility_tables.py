"""The tables of signals, forecasts and flexibility (design section 4); Alembic's migrations make them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.tables import metadata


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _made_at(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


# --- signals ------------------------------------------------------------------------------------------------------

zone_light = Table(
    "zone_light",
    metadata,
    Column("zone_id", Integer, primary_key=True, autoincrement=False),
    Column("amber", Boolean, nullable=False),
    _instant("amber_low_since", nullable=True),
    Column("red", Boolean, nullable=False),
    _instant("red_low_since", nullable=True),
    _instant("state_since"),
    _instant("at"),
)
"""The hysteresis of each zone's traffic light: what is on, and since when loading has been low enough to leave it. A
restart goes on from here, so it does not flicker. Instants are those of the service's now."""

zone_signal = Table(
    "zone_signal",
    metadata,
    Column("zone_id", Integer, nullable=False),
    _instant("at"),
    Column("state", Text, nullable=False),
    Column("net_w", BigInteger),
    Column("content", JSONB, nullable=False),
    PrimaryKeyConstraint("zone_id", "at"),
    Index("zone_signal_at_index", "at"),
)
"""The signals of each zone once a minute of the service's now (`at` is the minute), and at each change of state;
`content` is what the API answered at the time, packed by services.api.signals.signal_packing."""

# --- forecasts ----------------------------------------------------------------------------------------------------

forecast = Table(
    "forecast",
    metadata,
    Column("zone_id", Integer, nullable=False),
    _instant("issued_at"),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("zone_id", "issued_at"),
    Index("forecast_issued_at_index", "issued_at"),
)
"""A forecast of a zone's net power, issued at the quarter `issued_at` for the 192 quarters from it on: P10, P50 and P90
in W, packed by services.api.forecasting.forecast_store. Kept are the newest and those whose errors are measured."""

forecast_error = Table(
    "forecast_error",
    metadata,
    Column("zone_id", Integer, nullable=False),
    Column("day", Text, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("error_wh", BigInteger, nullable=False),
    Column("naive_error_wh", BigInteger, nullable=False),
    Column("covered", Integer, nullable=False),
    PrimaryKeyConstraint("zone_id", "day"),
)
"""What became of a local day's day-ahead forecast: sums of the absolute errors over its known windows, of the forecast
and of the seasonal naive one, and how many windows lay within P10 to P90."""

# --- requests, offers, orders -------------------------------------------------------------------------------------

flexibility_request = Table(
    "flexibility_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("zone_id", Integer, ForeignKey("zone_identity.zone_id"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("power_w", BigInteger, nullable=False),
    _instant("from_at"),
    _instant("to_at"),
    Column("status", Text, nullable=False),
    _made_at("created_at"),
    CheckConstraint("direction IN ('up', 'down')", name="flexibility_request_direction_check"),
)
"""What a DSO asked for. `status`: offered, declined (nothing can be held), ordered, expired, cancelled."""

flexibility_offer = Table(
    "flexibility_offer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("flexibility_request.id"), nullable=False, unique=True),
    Column("power_w", BigInteger, nullable=False),
    Column("cost", Numeric, nullable=False),
    Column("status", Text, nullable=False),
    _instant("expires_at"),
    _made_at("created_at"),
    Index(None, "status"),
)
"""What was offered for a request, all over its period; `cost` in the currency of the assets' costs. `status`: open,
ordered, expired, cancelled. `expires_at` is wall time."""

flexibility_reservation = Table(
    "flexibility_reservation",
    metadata,
    Column("offer_id", Text, ForeignKey("flexibility_offer.id"), nullable=False),
    Column("asset", Text, nullable=False),
    _instant("window_start"),
    Column("direction", Text, nullable=False),
    Column("power_w", BigInteger, nullable=False),
    Column("cost_per_mwh", Numeric, nullable=False),
    Column("status", Text, nullable=False),
    PrimaryKeyConstraint("offer_id", "asset", "window_start"),
    CheckConstraint("power_w > 0", name="flexibility_reservation_power_check"),
    Index("flexibility_reservation_asset_index", "asset", "window_start"),
    Index("flexibility_reservation_status_index", "status"),
)
"""The ledger: power of an asset in a window that is promised to one offer alone. `status`: held (by an open offer),
ordered, released. Held and ordered ones are taken off what others are offered; none is ever deleted."""

flexibility_order = Table(
    "flexibility_order",
    metadata,
    Column("id", Text, primary_key=True),
    Column("offer_id", Text, ForeignKey("flexibility_offer.id"), nullable=False, unique=True),
    Column("power_w", BigInteger, nullable=False),
    Column("cost", Numeric, nullable=False),
    Column("status", Text, nullable=False),
    _made_at("created_at"),
    _instant("ordered_at"),
    _instant("cancelled_at", nullable=True),
    Index(None, "status"),
)
"""An ordered offer, whole or in part. `status`: accepted (set-points are on their way), dispatched (all are sent),
delivered (its period is over), settled (each window is final), cancelled. `ordered_at` is the service's now,
`created_at` wall time."""

flexibility_dispatch = Table(
    "flexibility_dispatch",
    metadata,
    Column("order_id", Text, ForeignKey("flexibility_order.id"), nullable=False),
    Column("asset", Text, nullable=False),
    _instant("window_start"),
    Column("setpoint_w", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    _instant("sent_at", nullable=True),
    _instant("acknowledged_at", nullable=True),
    Column("acknowledgement", Text),
    Column("detail", Text),
    PrimaryKeyConstraint("order_id", "asset", "window_start"),
)
"""The set-points of an order, positive for injection, as a change from what the asset would do without it; 0 with a
higher `revision` takes one back. `acknowledgement`: accepted or refused, null until the asset's controller answered."""

flexibility_outbox = Table(
    "flexibility_outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("message_id", Text, nullable=False, unique=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    _made_at("created_at"),
)
"""Messages that a step decided on, written in its transaction; sent after the commit, in order, and then deleted."""

flexibility_audit = Table(
    "flexibility_audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("content", JSONB, nullable=False, server_default="{}"),
    _made_at("at"),
    Index(None, "request_id"),
)
"""Each step of a request's life, appended in the step's own transaction, never changed: what (`subject`, `subject_id`),
which step, and the figures on which it was decided."""

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_digest", Text, nullable=False),
    Column("status_code", SmallInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    _made_at("created_at"),
    PrimaryKeyConstraint("route", "key"),
    Index(None, "created_at"),
)
"""Answers already given under an `Idempotency-Key`: a retry gets the same one, and nothing is done again."""

# --- verification -------------------------------------------------------------------------------------------------

flexibility_baseline = Table(
    "flexibility_baseline",
    metadata,
    Column("order_id", Text, ForeignKey("flexibility_order.id"), primary_key=True),
    Column("method", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rrmse", Numeric),
    Column("bias", Numeric),
    Column("content", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    _made_at("created_at"),
)
"""The baseline of an order, frozen with it: `content` has each window's net energy (Wh, positive for import) and what
it was worked out from, `digest` its SHA-256. `rrmse` and `bias` were measured on placebo days, null without history."""

flexibility_verification = Table(
    "flexibility_verification",
    metadata,
    Column("order_id", Text, ForeignKey("flexibility_order.id"), nullable=False),
    _instant("window_start"),
    Column("revision", Integer, nullable=False),
    Column("baseline_wh", BigInteger, nullable=False),
    Column("actual_wh", BigInteger, nullable=False),
    Column("ordered_wh", BigInteger, nullable=False),
    Column("delivered_wh", BigInteger, nullable=False),
    Column("deficiency_wh", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("missing", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    _made_at("known_at"),
    PrimaryKeyConstraint("order_id", "window_start", "revision"),
)
"""What a window of an order delivered: a row each time that readings or the stage change it; `note` says what changed
from the revision before."""
