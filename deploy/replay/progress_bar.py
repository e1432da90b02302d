"""How far a replay is, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_LINE_S = 5.0
"""Where stderr is no terminal (a log file), a line this often."""


class ReplayProgress:
    """Shows sent readings, the rate at which they are published, lag and remaining time. A context manager."""

    def __init__(self, name: str, readings: int | None) -> None:
        """`readings`: how many will come; None when not known."""
        console = Console(stderr=True)
        self._readings = readings
        self._began = self._line_at = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.completed:,.0f} sent  {task.fields[rate]} published  lag {task.fields[lag]:,}"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task(name, total=readings, rate="", lag=0)

    def __enter__(self) -> "ReplayProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, sent: int, lag: int, doing: str) -> None:
        """`sent` readings are acknowledged, `lag` of them not yet in the published balance; `doing` is one word."""
        rate = f"{(sent - lag) / max(time.monotonic() - self._began, 1e-3):,.0f}/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=sent, rate=rate, lag=lag, description=doing)
        elif time.monotonic() - self._line_at >= _LINE_S:
            self._line_at = time.monotonic()
            of = f" of {self._readings:,}" if self._readings is not None else ""
            print(f"{doing}: {sent:,}{of} sent, {rate} published, lag {lag:,}", file=sys.stderr, flush=True)
