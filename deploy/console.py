"""What a person sees while Bilans starts, runs and stops: lines on standard error, one of them moving at a terminal."""

import time

from rich.console import Console as RichConsole
from rich.status import Status


class Console:
    """Says each thing in one line; standard output stays free for the one line `ready`."""

    def __init__(self) -> None:
        self._console = RichConsole(stderr=True, highlight=False)
        self._status: Status | None = None
        self._started = time.monotonic()

    def say(self, part: str, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{part:<11} {text}", markup=False, soft_wrap=True)

    def show(self, text: str) -> None:
        """The moving line of what is going on; only a terminal shows it."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def hide(self) -> None:
        """Ends the moving line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def seconds(self) -> float:
        """Since the start of this program's work."""
        return time.monotonic() - self._started
