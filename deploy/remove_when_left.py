"""Removes the folder named as its argument once its standard input ends: the process at the other end is gone.

The demo starts it, so that its data go also when the demo is killed. It runs without site packages, in milliseconds.
"""

import shutil
import sys
import time
from pathlib import Path

_TRIES_S = 30
"""A killed demo's Kafka and PostgreSQL end within seconds; until then they may still write."""


def main() -> None:
    """Waits, then removes the folder, again and again until nothing is left of it."""
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    until = time.monotonic() + _TRIES_S
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
