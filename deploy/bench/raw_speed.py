"""The speed of the client alone: `raw_reader` as a process of its own, beside a broker that has nothing else to do."""

import asyncio
import sys
from dataclasses import dataclass

import orjson

from deploy.bench.stack import Stack
from shared.errors import BilansError
from shared.topics import READINGS

_MESSAGES_AT_ONCE = {READINGS: 64}
"""As many as the service that reads the topic takes at once: the balancer 64 Arrow messages, ingest 50,000 of JSON."""
_JSON_MESSAGES_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class RawSpeed:
    """What the client alone does."""

    readings: int
    seconds: float
    cpu_seconds: float

    @property
    def readings_per_second(self) -> float:
        """Read and decoded."""
        return self.readings / self.seconds


async def measure_raw(stack: Stack, topic: str) -> RawSpeed:
    """Reads all of `topic` in a process of its own. Raises BilansError when that fails."""
    at_once = _MESSAGES_AT_ONCE.get(topic, _JSON_MESSAGES_AT_ONCE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.bench.raw_reader", topic, str(at_once)),
        env=stack.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode != 0:
        raise BilansError(f"The raw reader ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}")
    found = orjson.loads(out.splitlines()[-1])
    return RawSpeed(int(found["readings"]), found["seconds"], found["cpu_seconds"])
