"""How far a verification is, on stderr: a bar on a terminal, nothing but notes elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class VerifyProgress:
    """Shows how many series are recomputed. A context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet`: nothing is shown, not even notes."""
        console = Console(stderr=True)
        self._quiet = quiet
        self._bar: Progress | None = None
        self._note = ""
        if console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                MofNCompleteColumn(),
                TextColumn("series"),
                TimeElapsedColumn(),
                console=console,
            )
            self._task = self._bar.add_task("reading PostgreSQL", total=None)

    def __enter__(self) -> "VerifyProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, series: int) -> None:
        """So many series are to be recomputed."""
        if self._bar is not None:
            self._bar.update(self._task, total=series, completed=0)

    def show(self, doing: str) -> None:
        """What is done now; what is waited for is also told where there is no terminal, once."""
        if self._bar is not None:
            self._bar.update(self._task, description=doing)
        elif doing.startswith("waiting") and not self._quiet and not self._note:
            self._note = doing
            print(doing, file=sys.stderr, flush=True)

    def advance(self, series: int) -> None:
        """So many more series are done."""
        if self._bar is not None:
            self._bar.advance(self._task, series)
