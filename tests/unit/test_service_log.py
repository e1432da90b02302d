"""A library's repeated complaints become one line in some seconds; our own are all written."""

import logging

import pytest

from shared.service_log import REPEATED_S, RepeatFilter


def _record(name: str, message: str, *arguments: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, arguments, None)


def test_a_repeated_complaint_is_written_once_in_a_while() -> None:
    now_s = 100.0
    quiet = RepeatFilter(lambda: now_s)
    written = []
    for number in range(60):
        now_s = 100.0 + number * 0.1
        record = _record("aiokafka", "Unable connect to node with id %s: %s", number, "refused")
        if quiet.filter(record):
            written.append((now_s, record.getMessage()))
    assert written == [
        (100.0, "Unable connect to node with id 0: refused"),
        (100.0 + REPEATED_S, "Unable connect to node with id 50: refused [and 49 times more before]"),
    ]


@pytest.mark.parametrize(("name", "level"), [("services.balancer.writer", logging.WARNING), ("aiokafka", logging.INFO)])
def test_what_is_ours_or_no_complaint_is_all_written(name: str, level: int) -> None:
    quiet = RepeatFilter(lambda: 0.0)
    assert all(quiet.filter(_record(name, "a flush did not get through", level=level)) for _ in range(3))


def test_different_complaints_do_not_hide_each_other() -> None:
    quiet = RepeatFilter(lambda: 0.0)
    assert quiet.filter(_record("aiokafka", "one"))
    assert quiet.filter(_record("aiokafka", "another"))
    assert quiet.filter(_record("asyncpg.pool", "one"))
