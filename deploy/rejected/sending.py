"""A retry as a person sees it: a bar, an end in order by Ctrl-C, and a report of what became of them."""

import asyncio
import signal
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.rejected.display import make_console, print_json
from deploy.rejected.retry import Retry, RetryOutcome
from deploy.rejected.selection import Selection
from deploy.rejected.store import ToRetry
from deploy.replay.sender import ReadingSender
from deploy.running_system import find_database, find_running_system
from deploy.stores_answer import stores_answer
from shared.database.engine import make_engine

EXIT_INTERRUPTED = 130


class Sending:
    """A retry under way on the command line: its bar, its end by Ctrl-C, its report."""

    def __init__(self, data_dir: Path | None, api_key: str, selection: Selection, *, again: bool) -> None:
        """Nothing is connected before `run`. Raises BilansError where the addresses are not known."""
        self._database_url = find_database(data_dir)
        self._ingest = find_running_system(data_dir).ingest
        self._api_key = api_key
        self._selection = selection
        self._again = again
        self._retry: Retry | None = None
        self._stop = asyncio.Event()

    @property
    def exit_code(self) -> int:
        """0, or as after Ctrl-C."""
        return EXIT_INTERRUPTED if self._stop.is_set() else 0

    async def run(self, asked: ToRetry) -> None:
        """Sends what was `asked` for. Raises BilansError when ingest or the database does not answer."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        engine = make_engine(self._database_url)
        sender = ReadingSender(self._ingest, self._api_key, self._stop)
        self._retry = Retry(engine, sender, self._selection, again=self._again)
        try:
            with _bar() as bar, stores_answer():
                task = bar.add_task("sending again", total=sum(asked.counts.values()))
                await self._retry.run(asked, self._stop, lambda handled: bar.update(task, completed=handled))
        finally:
            await sender.close()
            await engine.dispose()

    def report(self, asked: ToRetry, *, as_json: bool) -> None:
        """Says what became of them, also of those sent before an error."""
        if self._retry is None:
            return
        outcome = self._retry.outcome
        if as_json:
            print_json(_fields(outcome, asked.already_retried))
            return
        console = make_console()
        if outcome.by_reason:
            console.print(_table(outcome))
        else:
            console.print("Nothing was sent.")
        for part in outcome.by_reason.values():
            if part.impossible:
                listed = ", ".join(map(str, part.impossible[:20])) + (" …" if len(part.impossible) > 20 else "")
                console.print(f"Not sent, since they cannot go as one delivery unchanged: {listed}.", soft_wrap=True)
        if asked.already_retried:
            console.print(f"{asked.already_retried:,} were sent again before and left out; --again takes them, too.")


def _bar() -> Progress:
    """A progress bar on standard error; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _table(outcome: RetryOutcome) -> Table:
    """What became of a retry, a row for each reason."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("was rejected as", "sent", "accepted now", "rejected again"):
        table.add_column(name, justify="left" if name == "was rejected as" else "right")
    table.add_column("as")
    for reason, part in outcome.by_reason.items():
        again = ", ".join(f"{name} {count:,}" for name, count in part.rejected.most_common())
        table.add_row(reason, f"{part.sent:,}", f"{part.accepted:,}", f"{part.rejected.total():,}", again)
    return table


def _fields(outcome: RetryOutcome, already_retried: int) -> dict[str, object]:
    """The same as a JSON object."""
    parts = outcome.by_reason.values()
    return {
        "sent": sum(part.sent for part in parts),
        "accepted": sum(part.accepted for part in parts),
        "rejected": sum(part.rejected.total() for part in parts),
        "impossible": sorted(number for part in parts for number in part.impossible),
        "already_retried": already_retried,
        "by_reason": {
            reason.value: {"sent": part.sent, "accepted": part.accepted, "rejected": dict(part.rejected)}
            for reason, part in outcome.by_reason.items()
        },
    }
