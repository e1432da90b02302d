"""A live record from which tests make theirs."""

from shared.live_record import LiveRecord

RECORD = LiveRecord(
    zone="S",
    partition=0,
    epoch=1,
    topology=1,
    now_s=None,
    written_at_s=0.0,
    last_received_at_s=None,
    meters=3,
    heard=3,
    newest_s=1_777_888_800,
    withdrawn_w=2000,
    injected_w=0,
    charged_w=0,
    discharged_w=0,
    soc_wh=None,
    window_start_s=None,
    withdrawn_wh=0,
    injected_wh=0,
    charged_wh=0,
    discharged_wh=0,
    withdrawn_expected_wh=0,
    injected_expected_wh=0,
    charged_expected_wh=0,
    discharged_expected_wh=0,
)
"""A live record; tests replace what matters to them."""
