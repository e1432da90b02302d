"""What all doors share: checked deliveries go into the log, the rejected ones first, and then are answered for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import orjson

from services.ingest.checked import Checked, Rejected
from services.ingest.log_writer import LogWriter, Message
from services.ingest.lookup import SeriesLookup
from services.ingest.reading_rules import latest_instant_s
from shared.clock import Clock
from shared.limits import MESSAGE_READINGS_MAX, ORIGINAL_BYTES_MAX
from shared.readings_message import READINGS_HEADERS, encode_readings
from shared.rejected_message import RejectedDelivery, encode_rejected, rejected_headers
from shared.topics import READINGS, REJECTED
from shared.words import RejectReason

_P = ParamSpec("_P")
_T = TypeVar("_T")

_JUDGED_AT_ONCE = 2048
"""Doubtful deliveries judged and, where rejected, logged in one step: a body of nothing else stays in bounds."""


@dataclass(slots=True)
class Receipt:
    """What became of the deliveries of one body."""

    accepted: int = 0
    rejected: int = 0
    rejected_places: dict[RejectReason, list[int]] = field(default_factory=dict)
    """Of each reason, the places of the rejected deliveries in the body, from 0."""
    errors_json: list[bytes] = field(default_factory=list)
    """Each rejected delivery as JSON, in the order of the body; bytes, since there may be a million."""

    def to_json(self) -> bytes:
        """The answer of the HTTP door (design section 5)."""
        errors = b",".join(self.errors_json)
        return b'{"accepted":%d,"rejected":%d,"errors":[%b]}' % (self.accepted, self.rejected, errors)


class Intake:
    """Moves checked deliveries into the log. Work on bytes runs in threads: the event loop stays free."""

    def __init__(self, log: LogWriter, clock: Clock) -> None:
        """`clock` judges which instants lie in the future (design rule 10)."""
        self._log = log
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="intake")

    def latest_s(self) -> int:
        """The last instant that a reading received now may have."""
        return latest_instant_s(self._clock.now_s())

    async def in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Runs `work` beside the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def take(
        self, checked: Checked, lookup: SeriesLookup, latest_s: int, position: Callable[[int], str]
    ) -> Receipt:
        """Appends the rejected deliveries to `bilans.rejected`, then the good ones to `bilans.readings`.

        `position` says where a delivery came from. Returns after all are acknowledged; raises LogUnreachableError when
        they are not, and then any part of them may be in the log.
        """
        receipt = Receipt()
        doubtful = checked.doubtful()
        for start in range(0, len(doubtful), _JUDGED_AT_ONCE):
            some = doubtful[start : start + _JUDGED_AT_ONCE]
            rejected = await self.in_thread(checked.judge_some, some, lookup, latest_s)
            await self._log.append([_rejected_message(item, position(item.index)) for item in rejected])
            _note(receipt, rejected)
        await self._log.append(await self.in_thread(_readings_messages, checked))
        receipt.accepted = len(checked) - receipt.rejected
        return receipt

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _readings_messages(checked: Checked) -> list[Message]:
    return [
        Message(READINGS, partition, encode_readings(readings), READINGS_HEADERS)
        for partition, readings in checked.by_partition(MESSAGE_READINGS_MAX)
    ]


def _rejected_message(rejected: Rejected, position: str) -> Message:
    rejection = rejected.rejection
    delivery = RejectedDelivery(
        reason=rejection.reason,
        source="ingest",
        detail=rejection.detail,
        meter=rejection.meter,
        register=rejection.register,
        ts=rejection.ts,
        position=position,
        original=rejected.original[:ORIGINAL_BYTES_MAX],
    )
    return Message(REJECTED, 0, encode_rejected(delivery), rejected_headers(delivery))


def _note(receipt: Receipt, rejected: list[Rejected]) -> None:
    for item in rejected:
        reason = item.rejection.reason
        receipt.rejected += 1
        receipt.rejected_places.setdefault(reason, []).append(item.index)
        error = {"index": item.index, "reason": reason, "detail": item.rejection.detail}
        receipt.errors_json.append(orjson.dumps(error))
