"""What a benchmark reports: a table for people, and one JSON object as the last line of standard output."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from deploy.bench.machine import load_average, machine_facts
from deploy.run_folder import folder_error

Figure = float | int | str | bool | None

EXIT_WRONG = 1
"""The answer was wrong, so no speed is told."""


@dataclass(slots=True)
class Report:
    """The report of one run. Make it where the run begins: the load of the machine is noted then."""

    name: str
    """The sub-command."""
    parameters: Mapping[str, Figure]
    """What the run was asked for, defaults included."""
    exact: bool = False
    """Whether the answer was right; the run says so once it has looked."""
    checks: dict[str, Figure] = field(default_factory=dict)
    """What was found when the answer was checked (like `difference_wh`): told in any case."""
    figures: dict[str, Figure] = field(default_factory=dict)
    """What was measured, with units in the names: told only where the answer was right."""
    columns: Sequence[str] = ()
    """Heads of the table; without them the table lists `checks` and `figures`."""
    rows: list[Sequence[Figure]] = field(default_factory=list)
    """Rows of the table; they are in the JSON, too, as objects by `columns`."""
    load_begin: float = field(default_factory=load_average)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began_s: float = field(default_factory=time.monotonic)

    def document(self) -> dict[str, object]:
        """The JSON object: figures at the top level, and what they were measured on."""
        measured = {**self.checks, **(self.figures if self.exact else {})}
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows] if self.exact else []
        return {
            "bench": self.name,
            "exact": self.exact,
            **measured,
            **({"rows": rows} if rows else {}),
            "parameters": dict(self.parameters),
            "machine": machine_facts(),
            "load_begin": self.load_begin,
            "load_end": load_average(),
            "began_at": self.began_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "took_s": round(time.monotonic() - self.began_s, 1),
        }


def show(report: Report, save: Path | None) -> int:
    """Prints the table and, as the last line, the JSON; `save` gets that line added. Returns the exit code.

    Raises BilansError when `save` cannot be written.
    """
    document = report.document()
    line = orjson.dumps(document)
    console = Console(highlight=False)
    if not report.exact:
        Console(stderr=True, highlight=False).print(
            f"[bold red]The answer was wrong[/bold red]: {_listed(report.checks)}. No speed is told."
        )
    else:
        console.print(_table(report))
    facts = machine_facts()
    console.print(
        f"{facts['cpu']}, {facts['cores']} cores, {int(facts['memory_bytes']) / 1e9:.0f} GB;"
        f" load {document['load_begin']} at the begin, {document['load_end']} at the end",
        soft_wrap=True,
    )
    if save is not None:
        _append(save, line)
    sys.stdout.flush()
    print(line.decode(), flush=True)
    return 0 if report.exact else EXIT_WRONG


def _table(report: Report) -> Table:
    title = f"bench {report.name}"
    if not report.columns:
        table = Table("figure", "", title=title)
        for name, figure in {**report.checks, **report.figures}.items():
            table.add_row(name, shown(figure))
        return table
    table = Table(*report.columns, title=title)
    for row in report.rows:
        table.add_row(*map(shown, row))
    return table


def shown(figure: Figure) -> str:
    """A figure as people read it."""
    if figure is None:
        return "–"
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, int) or (isinstance(figure, float) and abs(figure) >= 1000):
        return f"{figure:,.0f}"
    return f"{figure:.3g}" if isinstance(figure, float) else figure


def _listed(figures: Mapping[str, Figure]) -> str:
    return ", ".join(f"{name} {shown(figure)}" for name, figure in figures.items())


def _append(save: Path, line: bytes) -> None:
    try:
        save.parent.mkdir(parents=True, exist_ok=True)
        with save.open("ab") as file:
            file.write(line + b"\n")
    except OSError as error:
        raise folder_error(save.parent, error) from error
