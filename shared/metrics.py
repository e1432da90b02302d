"""Every metric of Bilans, declared once: name, unit and what it tells. Labels never name a meter or a member.

Metrics are floats and for rates and alarms; the truth about energy and deliveries is `/v1/audit`.
"""

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

_QUICK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# --- API ----------------------------------------------------------------------------------------------------------

API_REQUEST_SECONDS = Histogram(
    "bilans_api_request_seconds",
    "Time from a request's arrival to the first byte of its answer, by route and status.",
    ("route", "status"),
    buckets=_QUICK_SECONDS,
)
LIVE_VIEWERS = Gauge("bilans_live_viewers", "Viewers of the event stream now.")
LIVE_VIEWERS_REFUSED = Counter("bilans_live_viewers_refused", "Viewers refused because all places were taken.")
LIVE_VIEWERS_DROPPED = Counter("bilans_live_viewers_dropped", "Viewers let go because they took nothing for too long.")
LIVE_RECORDS = Counter("bilans_live_records", "Records of the live feed taken in.")
LIVE_RECORDS_FENCED = Counter("bilans_live_records_fenced", "Live records ignored: a replaced owner wrote them.")
LIVE_FEED_CONNECTED = Gauge("bilans_live_feed_connected", "1 while Kafka answers the live feed, else 0.")
SIGNALS_SWEEP_SECONDS = Histogram(
    "bilans_signals_sweep_seconds",
    "Time of one look at all zones by the instance that leads, from memory to what it tells.",
    buckets=_QUICK_SECONDS,
)
SIGNALS_PUBLISHED = Counter("bilans_signals_published", "Zones' signals that the topic has acknowledged.")

# --- ingest -------------------------------------------------------------------------------------------------------

INGEST_READINGS = Counter(
    "bilans_ingest_readings", "Deliveries acknowledged in the log, by door and outcome.", ("door", "outcome")
)
INGEST_REQUESTS = Counter("bilans_ingest_requests", "Answered requests of the HTTP door, by status.", ("status",))
INGEST_SECONDS = Histogram(
    "bilans_ingest_seconds",
    "Time from a body read to the acknowledgement of all of it, for requests answered 202.",
    buckets=_QUICK_SECONDS,
)
INGEST_HELD_BYTES = Gauge("bilans_ingest_held_bytes", "Bytes of all bodies that ingest holds now.")
INGEST_FUSE_BLOWN = Gauge("bilans_ingest_fuse_blown", "1 while the JSON topic is not read since its fuse has blown.")


# --- balancer -----------------------------------------------------------------------------------------------------

BALANCER_READINGS = Counter(
    "bilans_balancer_readings", "Deliveries entered in the books by this balancer, by outcome.", ("outcome",)
)
BALANCER_APPLY_SECONDS = Histogram(
    "bilans_balancer_apply_seconds", "Time of the kernel for one fetch of a partition.", buckets=_QUICK_SECONDS
)
BALANCER_FLUSH_SECONDS = Histogram(
    "bilans_balancer_flush_seconds", "Time of one flush from its first statement to its commit.", buckets=_QUICK_SECONDS
)
BALANCER_FLUSH_ROWS = Counter("bilans_balancer_flush_rows", "Partial rows changed by flushes.")
BALANCER_FENCED = Counter("bilans_balancer_fenced", "Flushes refused since the partition belongs to somebody else.")
BALANCER_LAST_COMMIT = Gauge("bilans_balancer_last_commit_timestamp_seconds", "Wall time of the last commit.")
BALANCER_OFFSET = Gauge("bilans_balancer_next_offset", "The next offset to apply, by owned partition.", ("partition",))


def exposition() -> tuple[bytes, str]:
    """All metrics of this process as Prometheus reads them, and the content type."""
    return generate_latest(), CONTENT_TYPE_LATEST
