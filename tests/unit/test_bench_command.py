"""`bilans bench` lists its benchmarks; each explains itself without the packages that only running it needs."""

import subprocess
import sys

import pytest

_CODE = """
import sys
from deploy.command_line import main
sys.argv[1:] = ["bench", *{arguments!r}, "--help"]
try:
    main()
finally:
    print(*sys.modules)
"""
_NAMES = ("kernel", "drain", "ingest", "latency", "restart", "scale", "peers", "recompute", "signals", "plot")


def help_of(*arguments: str) -> tuple[str, set[str]]:
    """The help text, and the modules that were imported for it."""
    code = _CODE.format(arguments=arguments)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, modules, _ = out.rsplit("\n", 2)
    return text, set(modules.split())


def test_every_benchmark_is_listed() -> None:
    text, _ = help_of()
    assert [name for name in _NAMES if f" {name} " not in text] == []


@pytest.mark.parametrize("name", _NAMES)
def test_every_benchmark_explains_itself_and_what_it_saves(name: str) -> None:
    text, modules = help_of(name)
    assert f"bench {name}" in text
    assert "Example" in text
    assert "--save" in text or name == "plot"
    assert not {"numba", "aiokafka", "sqlalchemy", "hdrh", "quixstreams", "bytewax"} & modules
