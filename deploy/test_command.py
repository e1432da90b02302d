"""`bilans test`: the checks and the default test suite, or the fault runs."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
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
    faults_ci: Annotated[
        bool, typer.Option("--faults-ci", help="The fault runs instead, each fault a few times: about 25 minutes.")
    ] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="The fault runs instead, as before a release: some hours, an hour of soak.")
    ] = False,
) -> None:
    """Runs ruff, mypy, the import contracts and pytest on the real parts.

    With --faults-ci or --faults it runs the fault runs alone: processes are killed and paused, connections cut and
    delayed, while readings come in, and an independent checker judges the whole history.

    Example: ./bilans test -- tests/unit -k ports

    Example: ./bilans test --faults-ci -- -k zombie
    """
    if faults_ci or faults:
        raise typer.Exit(_run_faults("full" if faults else "ci", arguments or []))
    failed = [name for name, command in _CHECKS if not _passes(name, command)]
    ended = _run(["-m", "pytest", *(arguments or [])])
    if failed:
        # pytest's closing line stays the last one of standard output.
        print(f"bilans: these checks failed: {', '.join(failed)}. Their reports are above the tests.", file=sys.stderr)
    raise typer.Exit(ended or bool(failed))


def _run_faults(tier: str, arguments: list[str]) -> int:
    # The variable is read by tests/faults/tier.py; without it nobody collects the fault runs.
    return _run(
        ["-m", "pytest", "tests/simulation", "tests/faults", "tests/bench", "-v", *arguments],
        {"BILANS_TEST_FAULTS": tier},
    )


def _passes(name: str, command: list[str]) -> bool:
    print(f"== {name}", flush=True)
    return _run(command) == 0


def _run(command: list[str], more: Mapping[str, str] = MappingProxyType({})) -> int:
    environment = {"NUMBA_CACHE_DIR": str(kernel_cache_folder()), **os.environ, **more}
    return subprocess.run([sys.executable, *command], cwd=_ROOT, env=environment, check=False).returncode
