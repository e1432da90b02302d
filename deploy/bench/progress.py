"""How far a benchmark is, on standard error: a bar on a terminal, a plain line for each step elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class BenchProgress:
    """Steps one after the other, each with a bar where its length is known. A context manager."""

    def __init__(self) -> None:
        """Shows nothing before the first step."""
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
            )
        self._task = None if self._bar is None else self._bar.add_task("", total=None, visible=False)

    def __enter__(self) -> "BenchProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, what: str, total: int | None = None) -> None:
        """Begins a step; `total` is how much there is to do, where that is known."""
        if self._bar is None:
            print(f"bench: {what}", file=sys.stderr, flush=True)
            return
        assert self._task is not None
        self._bar.reset(self._task, total=total, description=what, visible=True)

    def show(self, done: int) -> None:
        """So much of the step is done."""
        if self._bar is not None:
            assert self._task is not None
            self._bar.update(self._task, completed=done)
