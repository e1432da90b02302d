"""`bilans bench plot`: pictures of what `--save` has kept."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the sub-command."""
    app.command()(plot)


def plot(
    saved: Annotated[Path, typer.Argument(help="The file that --save wrote.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The folder for the pictures.", file_okay=False)] = Path(),
) -> None:
    """Draws SVG pictures of the newest run of each benchmark in a file.

    Example: ./bilans bench plot bench.jsonl --out docs/performance
    """
    from deploy.bench.pictures import draw

    for path in draw(saved, out):
        typer.echo(path)
