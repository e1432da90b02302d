"""Watches how far the published balance has come: progress, books and the time from append to published.

Four times a second one question goes to `/v1/status` and one to `/v1/audit`. An answer of `/v1/status` has, for each
partition of the log, its end and how far it is published. What stood in the log at one answer is
published at the first later answer whose progress has reached that end; the time between the two answers is a sample of
the time from append to published. A sample is exact to the time between two questions, a quarter of a second; with
everything acknowledged before the answer counted from the answer, long and short readings of it cancel out.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from shared.errors import BilansError
from shared.topics import READINGS

LogPlace = tuple[str, int]
"""A topic and a partition's number."""

QUESTION_S = 0.25
_STANDSTILL_S_MAX = 300.0
"""`--wait` gives up after so long without any progress: the services restart each other in well under a minute."""


@dataclass(frozen=True, slots=True)
class Books:
    """The books at one moment (design rule 10)."""

    received: int
    applied: int
    unchanged: int
    pending: int
    recomputing: int
    rejected: dict[str, int]

    def since(self, before: "Books") -> "Books":
        """What was added after `before`; of late readings that wait, what is left."""
        reasons = {reason: n - before.rejected.get(reason, 0) for reason, n in self.rejected.items()}
        return Books(
            received=self.received - before.received,
            applied=self.applied - before.applied,
            unchanged=self.unchanged - before.unchanged,
            pending=self.pending,
            recomputing=self.recomputing,
            rejected={reason: n for reason, n in reasons.items() if n},
        )


class PublicationWatch:
    """Asks a running system how far it is, in its own task, from `start` to `close`."""

    def __init__(self, api: str, api_key: str) -> None:
        """`api` is the API's base URL."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.AsyncClient(base_url=api, headers=headers, timeout=10.0)
        self._api = api
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[LogPlace, deque[tuple[int, float]]] = {}
        self._asked = asyncio.Condition()
        self.before = Books(0, 0, 0, 0, 0, {})
        self.books = self.before
        self.ends: dict[LogPlace, int] = {}
        """End of the log of each partition, at the last answer."""
        self.published: dict[LogPlace, int] = {}
        """First offset of each partition that is not published yet, at the last answer."""
        self.asked_at = 0.0
        """When the last question that was answered in full was put (monotonic)."""
        self.samples_s: list[float] = []
        """Times from append to published."""
        self.answers = True
        """Whether the last question was answered."""

    async def start(self) -> None:
        """Takes the books before the run. Raises BilansError when the API does not answer."""
        try:
            await self._ask()
        except httpx.HTTPError as error:
            await self._client.aclose()
            raise BilansError(
                f"No Bilans answers at {self._api} ({type(error).__name__}).",
                "Is it running? Start it with `./bilans up`.",
            ) from error
        self.before = self.books
        self._task = asyncio.create_task(self._ask_on())

    async def close(self) -> None:
        """Takes the books a last time, where the API answers, and ends the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            try:
                await self._ask()
            except httpx.HTTPError:
                self.answers = False
        await self._client.aclose()

    async def wait_published(self, sent: int) -> None:
        """Returns when all that stands in the log now, and so many deliveries as were `sent`, are in the balance.

        The offsets make it true beside other senders, the books count what was rejected at the door too. Late readings
        are in the balance when none is `pending` and nothing is `recomputing` any more, whoever sent it. Raises
        BilansError when nothing moves for minutes.
        """
        async with self._asked:
            await self._next_in_full()
            ends = dict(self.ends)
            await self._wait_for(lambda: self._reached(ends) and self.books.since(self.before).received >= sent)
            await self._next_in_full()  # status and books are two questions: these books are not older than that status
            await self._wait_for(lambda: self.books.pending == 0 and self.books.recomputing == 0)

    def latency_ms(self, percent: float) -> float | None:
        """A percentile of the times from append to published; None when nothing was published meanwhile."""
        return round(float(np.percentile(self.samples_s, percent)) * 1000, 1) if self.samples_s else None

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds, as long as something moves."""
        moved_at, last = time.monotonic(), self.books
        while not condition():
            await self._next_answer()
            if self.books != last:
                moved_at, last = time.monotonic(), self.books
            if time.monotonic() - moved_at > _STANDSTILL_S_MAX:
                waiting = f" {self.books.pending:,} late readings wait." if self.books.pending else ""
                raise BilansError(
                    f"Nothing was published for {_STANDSTILL_S_MAX:.0f} s.{waiting}",
                    f"See {self._api}/v1/status and the logs.",
                )

    async def _next_in_full(self) -> None:
        """Waits for a question that is put from now on and answered in full."""
        called_at = time.monotonic()
        while self.asked_at <= called_at:
            await self._next_answer()

    async def _next_answer(self) -> None:
        """Waits for the next question's end; raises what ended the task, if something did."""
        assert self._task is not None
        if self._task.done():
            self._task.result()
        await self._asked.wait()

    def _reached(self, ends: dict[LogPlace, int]) -> bool:
        return all(self.published.get(place, 0) >= end for place, end in ends.items())

    async def _ask_on(self) -> None:
        while True:
            await asyncio.sleep(QUESTION_S)
            try:
                await self._ask()
            except httpx.HTTPError:
                self.answers = False  # a restart under way; the wait for progress has its own bound
            finally:
                async with self._asked:
                    self._asked.notify_all()

    async def _ask(self) -> None:
        asked_at = time.monotonic()
        status, audit = await asyncio.gather(self._get("/v1/status"), self._get("/v1/audit"))
        for row in status["partitions"]:
            self._take((row["topic"], row["partition"]), row["end_offset"], row["next_offset"], asked_at)
        names = ("received", "applied", "unchanged", "pending", "recomputing", "rejected")
        self.books = Books(**{name: audit[name] for name in names})
        if all(row["end_offset"] is not None for row in status["partitions"]):
            self.asked_at, self.answers = asked_at, True

    def _take(self, place: LogPlace, end: int | None, published: int, at: float) -> None:
        """Notes one partition's `end` (None while Kafka does not answer) and how far it is `published`."""
        waiting = self._waiting.setdefault(place, deque())
        if end is not None:
            if place[0] == READINGS and published < end and end > self.ends.get(place, end):
                waiting.append((end, at))
            self.ends[place] = end
        while waiting and waiting[0][0] <= published:
            self.samples_s.append(at - waiting.popleft()[1])
        self.published[place] = published

    async def _get(self, path: str) -> dict[str, Any]:
        answer = await self._client.get(path)
        if answer.status_code in (401, 403):
            raise BilansError(f"{self._api} wants a key.", "Give --api-key KEY or set BILANS_API_KEY.")
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document
