"""Kafka's clients, made the same way everywhere."""

from typing import Literal

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.limits import MESSAGE_BYTES_MAX
from shared.settings import Settings


def make_producer(settings: Settings, *, linger_ms: int = 0) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas: what it acknowledged is in the log once."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka,
        client_id=settings.instance,
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        max_request_size=MESSAGE_BYTES_MAX,
        max_batch_size=1024 * 1024,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
    )


def make_client(settings: Settings) -> AIOKafkaClient:
    """A client that sends single requests."""
    return AIOKafkaClient(
        bootstrap_servers=settings.kafka,
        client_id=settings.instance,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
    )


def make_consumer(
    settings: Settings, *topics: str, group: str | None = None, offset_reset: Literal["none", "earliest"] | None = None
) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself: progress is kept where the results are.

    `offset_reset` says where to read from without an offset; left out it is an error in a group, else the earliest.

    Sessions of 4 s with heartbeats each second: the defaults take over 10 s to hand on a dead member's partitions,
    while shorter sessions would lose partitions whenever the machine is busy for a moment (design section 7).
    """
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=settings.kafka,
        client_id=settings.instance,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset=offset_reset or ("none" if group else "earliest"),
        session_timeout_ms=4_000,
        rebalance_timeout_ms=3_000,
        heartbeat_interval_ms=1_000,
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        fetch_max_bytes=4 * MESSAGE_BYTES_MAX,
        fetch_max_wait_ms=50,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
