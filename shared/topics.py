"""Kafka's topics: their names and how they are kept (design section 5)."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from shared.errors import BilansError
from shared.limits import MESSAGE_BYTES_MAX
from shared.settings import Settings

READINGS_JSON = "bilans.readings.json"
READINGS = "bilans.readings"
REJECTED = "bilans.rejected"
LATE = "bilans.late"
LIVE = "bilans.live"
METERS = "bilans.meters"
BALANCE = "bilans.balance"
SIGNALS = "bilans.signals"
DISPATCH = "bilans.dispatch"

CHANGES = "changes"
RESTATEMENT = "restatement"
"""What the header `kind` says of a message of `bilans.balance`: which windows changed, or how closed ones did."""

_WEEK_MS = 7 * 86_400_000
_KEPT = {"retention.ms": str(_WEEK_MS), "max.message.bytes": str(MESSAGE_BYTES_MAX)}
# A reader of a compacted topic reads all of it when it starts: small segments and a low ratio keep that short.
_COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "60000",
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
}


def _topics(partitions: int) -> list[NewTopic]:
    def topic(name: str, count: int, configuration: dict[str, str]) -> NewTopic:
        # -1: the broker's own default, so that a cluster of three keeps three copies. The client takes -1 only where
        # replicas are assigned; none assigned leaves that to the broker.
        return NewTopic(
            name, num_partitions=count, replication_factor=-1, replica_assignments={}, topic_configs=configuration
        )

    return [
        topic(READINGS_JSON, partitions, _KEPT),
        topic(READINGS, partitions, _KEPT),
        topic(REJECTED, 1, _KEPT),
        topic(LATE, partitions, _KEPT),
        topic(LIVE, 1, _COMPACTED),
        topic(METERS, 1, _COMPACTED),
        topic(BALANCE, partitions, _KEPT),
        topic(SIGNALS, 1, _KEPT),
        topic(DISPATCH, 1, _KEPT),
    ]


async def ensure_topics(settings: Settings) -> None:
    """Makes the topics that do not exist yet; those that do stay as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="bilans-topics")
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [topic for topic in _topics(settings.partitions) if topic.name not in present]
        if missing:
            response = await admin.create_topics(missing)
            for name, code, message in response.topic_errors:
                # Another process may have made it at the same moment.
                if code not in (NoError.errno, TopicAlreadyExistsError.errno):
                    raise BilansError(f"Kafka refuses the topic {name}: {message or for_code(code).__name__}.")
    finally:
        await admin.close()
