"""The signals' benchmark checks what it measures."""

import pytest

from deploy.bench import signals_run
from deploy.bench.signals_run import measure_signals


def test_a_right_run_has_no_difference() -> None:
    run = measure_signals(60, 300, 2)
    assert run.difference_w == 0
    assert run.whole.ms > 0 and run.envelope.cpu_ms > 0
    assert run.bytes_a_zone > 500


def test_zones_without_assets_are_checked_too() -> None:
    assert measure_signals(30, 0, 1).difference_w == 0


def test_a_wrong_power_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each storage holds 1 kW more than is looked for."""
    monkeypatch.setattr(signals_run, "UP_KW", 7)
    assert measure_signals(30, 3, 1).difference_w > 0
