"""`./bilans` as a new user meets it: quick when all is there, one clear line when something is missing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "dirname", "grep", "mkdir", "mv", "readlink", "rm", "sleep", "tail", "tee")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the front door without an environment, and a folder of tools without any Python."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("bilans", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, project / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    return project


def call(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = project.with_name("tools")
    return subprocess.run(
        [project / "bilans", *arguments], env={"PATH": str(tools), **environment}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def make_python(project: Path, script: str) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        python = project.with_name("tools") / name
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)


def last_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr.splitlines()[-1]


def test_no_python(clone: Path) -> None:
    assert last_line(call(clone)) == (
        "bilans: No python3 in PATH. Install Python 3.11 or newer, or name it in BILANS_PYTHON."
    )


def test_a_python_that_is_too_old(clone: Path) -> None:
    make_python(clone, 'echo "3.9 False"')
    assert last_line(call(clone)).startswith("bilans: Python 3.9 is too old: Bilans needs 3.11 or newer.")


def test_a_python_without_venv(clone: Path) -> None:
    make_python(clone, 'case $2 in *ensurepip*) exit 1 ;; *) echo "3.12 True" ;; esac')
    assert "apt install python3.12-venv" in last_line(call(clone))


def test_a_registry_out_of_reach(clone: Path) -> None:
    (clone.with_name("tools") / "python3").symlink_to(sys.executable)
    # Port 9 of this machine: nothing listens there. A proxy or a folder of packages must not come to help.
    ended = call(clone, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0")
    assert "The package registry is out of reach." in last_line(ended)
    assert not (clone / ".venv.lock").exists()
    assert (clone / ".venv" / "incomplete").exists()  # the next call starts anew


def test_the_lock_of_a_call_that_was_killed_is_taken_over(clone: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (clone / ".venv.lock").mkdir()
    (clone / ".venv.lock" / "pid").write_bytes(dead.stdout)
    assert "No python3 in PATH" in last_line(call(clone))
    assert not (clone / ".venv.lock").exists()


def test_once_made_it_adds_less_than_half_a_second_and_keeps_the_users_folder(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    python = clone / ".venv" / "bin" / "python"
    stamped = f'-ISc) exec {sys.executable} "$@" ;;'
    python.write_text(f'#!/bin/sh\ncase $1 in {stamped} *) pwd; echo "$PYTHONPATH $@" ;; esac\n')
    python.chmod(0o755)
    with (clone / "requirements.lock").open() as lock:
        checksum = subprocess.run(["cksum"], stdin=lock, capture_output=True, text=True, check=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (clone / ".venv" / "requirements.stamp").write_text(f"{version} {checksum.stdout}")
    took = []
    for _ in range(3):
        started = time.monotonic()
        ended = subprocess.run(
            [clone / "bilans", "up", "--port", "1 2"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        took.append(time.monotonic() - started)
        assert ended.stdout.splitlines() == [str(tmp_path), f"{clone} -m deploy.command_line up --port 1 2"]
    assert min(took) < 0.5
