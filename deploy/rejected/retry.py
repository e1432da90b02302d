"""Sends rejected readings again: new deliveries of the same bytes, in their order, through ingest's HTTP door."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.rejected.requests import RetryRequest, pack
from deploy.rejected.selection import Selection
from deploy.rejected.store import ToRetry, mark_retried, next_originals
from deploy.replay.sender import ReadingSender, StoppedError
from shared.words import RejectReason

_ROWS_AT_ONCE = 5_000
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""A request of this size is quick; and what is repeated after a crash in between stays small."""


@dataclass(slots=True)
class ReasonOutcome:
    """What became of the readings that had been rejected for one reason."""

    accepted: int = 0
    """Acknowledged in the log: the books will say whether they were applied."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected again, by their reason now."""
    impossible: list[int] = field(default_factory=list)
    """Numbers of those that cannot be sent as one delivery of the same bytes."""

    @property
    def sent(self) -> int:
        """How many were sent."""
        return self.accepted + self.rejected.total()


@dataclass(slots=True)
class RetryOutcome:
    """What became of all of them, by the reason for which they had been rejected."""

    by_reason: dict[RejectReason, ReasonOutcome] = field(default_factory=dict)

    def of(self, reason: RejectReason) -> ReasonOutcome:
        """The part of `reason`, to be counted in."""
        return self.by_reason.setdefault(reason, ReasonOutcome())

    @property
    def handled(self) -> int:
        """How many were sent or found impossible to send."""
        return sum(part.sent + len(part.impossible) for part in self.by_reason.values())


class Retry:
    """One run. `stop` may be set at any moment: it ends after the request under way.

    What was acknowledged is marked before the next request is sent. A crash in between leaves one request unmarked, and
    the next retry sends it once more: at least once, and a reading that arrives twice changes nothing (rule 1).
    """

    def __init__(self, engine: AsyncEngine, sender: ReadingSender, selection: Selection, *, again: bool) -> None:
        """`again` sends also what was sent again before."""
        self._engine = engine
        self._sender = sender
        self._selection = selection
        self._again = again
        self.outcome = RetryOutcome()

    async def run(self, asked: ToRetry, stop: asyncio.Event, show: Callable[[int], None]) -> None:
        """Sends what `asked` found; `show` is told how many are handled. Raises BilansError as the sender does."""
        last_sent = -1
        while not stop.is_set():
            async with self._engine.connect() as connection:
                originals = await next_originals(
                    connection,
                    self._selection,
                    again=self._again,
                    after=last_sent,
                    last=asked.last_number,
                    rows_max=_ROWS_AT_ONCE,
                    bytes_max=_BYTES_AT_ONCE,
                )
            if not originals:
                return
            last_sent = originals[-1].number
            requests, impossible = pack(originals)
            for original in impossible:
                self.outcome.of(original.reason).impossible.append(original.number)
            for request in requests:
                if stop.is_set():
                    return
                try:
                    await self._send(request)
                except StoppedError:
                    return
                show(self.outcome.handled)

    async def _send(self, request: RetryRequest) -> None:
        originals = request.originals
        answer = await self._sender.post(len(originals), request.body, request.content_type)
        rejected_as = {error["index"]: error["reason"] for error in answer["errors"]}
        # Byte for byte one delivery each; anything else would be a fault of `pack`, never to be passed over.
        assert answer["accepted"] + answer["rejected"] == len(originals)
        for index, original in enumerate(originals):
            part = self.outcome.of(original.reason)
            if index in rejected_as:
                part.rejected[rejected_as[index]] += 1
            else:
                part.accepted += 1
        async with self._engine.begin() as connection:
            await mark_retried(connection, [original.number for original in originals])
