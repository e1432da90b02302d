"""`bilans test`: the checks and the default test suite."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.cache_folder import kernel_cache_folder

_ROOT = Path(__file__).parents[1]
_CHECKS = (
    ("style", ["-m", "ruff", "check", "."]),
    ("form", ["-m", "ruff", "format", "--check", "."]),
    ("types", ["-m", "mypy"]),
    ("imports", ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]),
)


def test(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="For pytest: files, -k EXPRESSION, …; after `--`.", show_default=False)
    ] = None,
) -> None:
    """Runs ruff, mypy, the import contracts and pytest on the real parts.

    Example: ./bilans test -- tests/unit -k ports
    """
    failed = [name for name, command in _CHECKS if not _passes(name, command)]
    ended = _run(["-m", "pytest", *(arguments or [])])
    if failed:
        # pytest's closing line stays the last one of standard output.
        print(f"bilans: these checks failed: {', '.join(failed)}. Their reports are above the tests.", file=sys.stderr)
    raise typer.Exit(ended or bool(failed))


def _passes(name: str, command: list[str]) -> bool:
    print(f"== {name}", flush=True)
    return _run(command) == 0


def _run(command: list[str]) -> int:
    environment = {"NUMBA_CACHE_DIR": str(kernel_cache_folder()), **os.environ}
    return subprocess.run([sys.executable, *command], cwd=_ROOT, env=environment, check=False).returncode
