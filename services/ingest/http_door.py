"""The HTTP door: `POST /v1/readings` from a request to a receipt, and every way in which that can fail as a problem."""

import asyncio
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from services.ingest.admission import Admission, FullError, Lease
from services.ingest.arrow_stream import check_arrow
from services.ingest.body import CONTENT_ENCODINGS, decompress, read_body
from services.ingest.checked import Checked, TooLargeBodyError, UnreadableBodyError
from services.ingest.description import ARROW, JSON, NDJSON
from services.ingest.intake import Intake, Receipt
from services.ingest.json_deliveries import check_array, check_lines
from services.ingest.log_writer import LogUnreachableError
from services.ingest.lookup import SeriesLookup
from shared.metrics import INGEST_HELD_BYTES, INGEST_READINGS, INGEST_SECONDS
from shared.problem import Problem, busy

Check = Callable[[bytes, SeriesLookup, int], Checked]

CHECKS: dict[str, Check] = {NDJSON: check_lines, JSON: check_array, ARROW: check_arrow}
"""How the deliveries of each content type are checked."""

_BODY_TIMEOUT_S = 60
"""A sender that takes longer holds a place for nothing."""


class HttpDoor:
    """Takes the bodies of requests into the log."""

    def __init__(
        self, intake: Intake, current_lookup: Callable[[], SeriesLookup | None], admission: Admission | None = None
    ) -> None:
        """`current_lookup` gives the lookup in use, None before the first topology."""
        self._intake = intake
        self._current_lookup = current_lookup
        self._admission = admission or Admission()
        INGEST_HELD_BYTES.set_function(lambda: self._admission.held_bytes)

    async def take(self, request: Request) -> Receipt:
        """Takes one request. Raises Problem: 400, 408, 413, 415, 429 or 503."""
        check, encoding = _check_of(request), _encoding_of(request)
        if self._current_lookup() is None:
            raise busy("No topology is loaded yet; load one with `bilans topology load`.", retry_after_s=5)
        try:
            with self._admission.lease() as lease:
                body = await _read(request, lease)
                return await self._take_body(body, encoding, check, lease)
        except FullError as error:
            detail = f"Ingest has {error} under way; send the body again."
            raise busy(detail, status=429 if error.requests else 503) from error
        except UnreadableBodyError as error:
            raise Problem(400, f"The body cannot be read, nothing of it was taken: {error}.") from error
        except TooLargeBodyError as error:
            raise Problem(
                413, f"The body is too large, nothing of it was taken: {error}. Send smaller ones."
            ) from error
        except LogUnreachableError as error:
            detail = f"{error}. Send the body again: what was already taken changes nothing the second time."
            raise busy(detail, retry_after_s=2) from error

    async def _take_body(self, body: bytes, encoding: str, check: Check, lease: Lease) -> Receipt:
        started_s = time.perf_counter()
        if encoding:
            body = await self._intake.in_thread(decompress, body, encoding, lease)
        lookup = self._current_lookup()
        assert lookup is not None  # once there is one, there is always one
        latest_s = self._intake.latest_s()
        checked = await self._intake.in_thread(check, body, lookup, latest_s)
        lease.hold(checked.held_bytes)
        receipt = await self._intake.take(checked, lookup, latest_s, "http:index {}".format)
        INGEST_READINGS.labels("http", "accepted").inc(receipt.accepted)
        INGEST_READINGS.labels("http", "rejected").inc(receipt.rejected)
        INGEST_SECONDS.observe(time.perf_counter() - started_s)
        return receipt


async def _read(request: Request, lease: Lease) -> bytes:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return await read_body(request.stream(), lease)
    except TimeoutError as error:
        raise Problem(408, f"The body did not come within {_BODY_TIMEOUT_S} s.") from error
    except ClientDisconnect as error:
        raise UnreadableBodyError("the connection ended before the body did") from error


def _check_of(request: Request) -> Check:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CHECKS:
        raise Problem(
            415,
            f"Content-Type {content_type[:100]!r} is not taken; send one of {', '.join(CHECKS)}.",
            headers={"Accept": ", ".join(CHECKS)},
        )
    return CHECKS[content_type]


def _encoding_of(request: Request) -> str:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in CONTENT_ENCODINGS:
        raise Problem(
            415,
            f"Content-Encoding {encoding[:100]!r} is not taken; send one of {', '.join(CONTENT_ENCODINGS)}, or none.",
            headers={"Accept-Encoding": ", ".join(CONTENT_ENCODINGS)},
        )
    return encoding
