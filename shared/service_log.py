"""How a service writes its log, on standard error: a line an event, no flood of complaints while a store is away."""

import logging
import time
from collections.abc import Callable

REPEATED_S = 5.0
"""The clients of Kafka and PostgreSQL complain at each try, of which there are many a second: once in this time says
it. Our own messages say each what is tried next, a few a second at most."""
_OURS = ("services.", "shared.", "deploy.", "__main__")


class RepeatFilter(logging.Filter):
    """Lets a library's message through once in REPEATED_S, however often it comes and whatever its figures are."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`monotonic_s` is the clock."""
        super().__init__()
        self._monotonic_s = monotonic_s
        self._passed: dict[tuple[str, int, str], tuple[float, int]] = {}
        """Of each message: when it last passed, and how many have been held back since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; one that is says how many like it were not."""
        if record.levelno < logging.WARNING or record.name.startswith(_OURS):
            return True
        key = record.name, record.levelno, str(record.msg)
        now_s = self._monotonic_s()
        passed_s, held_back = self._passed.get(key, (now_s - REPEATED_S, 0))
        if now_s - passed_s < REPEATED_S:
            self._passed[key] = passed_s, held_back + 1
            return False
        self._passed[key] = now_s, 0
        if held_back:
            record.msg = f"{record.msg} [and {held_back} times more before]"
        return True


def configure_log() -> None:
    """Sets the log of this process up."""
    handler = logging.StreamHandler()
    handler.addFilter(RepeatFilter())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[handler]
    )
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
