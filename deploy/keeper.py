"""Keeps one part running: starts it, notes its process, and starts it again when it dies."""

import asyncio
import signal
import subprocess
import time
from pathlib import Path

from deploy.console import Console
from deploy.embedded.child import tail
from deploy.parts import Part
from deploy.run_folder import forget_pid, write_pid
from shared.errors import BilansError

POLL_S = 0.1
SETTLED_S = 10
"""A part that ran this long is started again at once; one that dies sooner waits longer each time."""
PAUSES_S = (0.0, 0.2, 0.5, 1, 2, 5)


class Keeper:
    """Watches over one part."""

    def __init__(self, part: Part, run: Path, console: Console) -> None:
        """`run` is where its process is noted."""
        self.part = part
        self._run = run
        self._console = console
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Starts the part for the first time. Raises BilansError when that fails."""
        self._child = await self.part.start()
        write_pid(self._run, self.part.name, self._child.pid)

    def died(self) -> BilansError | None:
        """What to say when the part has ended before the system was ready; None while it runs."""
        if self._child is None or self._child.poll() is None:
            return None
        how = _how_it_ended(self._child.returncode)
        return BilansError(
            f"{self.part.name} did not start ({how}). Its log {self.part.log} ends with:\n{tail(self.part.log)}"
        )

    async def keep(self) -> None:
        """Runs until cancelled: starts the part again each time it ends, saying so in one line."""
        early_deaths = 0
        while True:
            assert self._child is not None
            started = time.monotonic()
            while self._child.poll() is None:  # noqa: ASYNC110 - the end of a process is no event of the loop
                await asyncio.sleep(POLL_S)
            died = time.monotonic()
            early_deaths = 0 if died - started > SETTLED_S else early_deaths + 1
            how = _how_it_ended(self._child.returncode)
            pause_s = PAUSES_S[min(early_deaths, len(PAUSES_S) - 1)]
            await asyncio.sleep(pause_s)
            try:
                await self.start()
            except (BilansError, OSError) as error:
                self._console.say(self.part.name, f"{how}; starting again failed: {error}")
            else:
                self._console.say(self.part.name, f"{how}; started again within {time.monotonic() - died:.1f} s")

    def stop(self) -> None:
        """Stops the part in order; blocks."""
        self.part.stop()
        forget_pid(self._run, self.part.name)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
