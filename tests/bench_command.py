"""Runs a benchmark as a user does."""

import json
import subprocess
from typing import Any

from tests.system import ENVIRONMENT, ROOT, bilans_command


def bench(*arguments: str) -> dict[str, Any]:
    """A benchmark's last line."""
    ended = subprocess.run(
        bilans_command("bench", *arguments),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report
