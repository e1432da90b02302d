"""Records of the topic `bilans.live`: what one partition knows of one zone now (design section 3).

Key: `zone|partition`. Value: this record as JSON. A zone's live view sums its partitions' records; a record of an
older `epoch` than one already seen of that partition comes from a replaced owner and is to be ignored.
"""

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """One partition's share of a zone's live view; all numbers are sums over its valid meters in or below the zone."""

    zone: str
    partition: int
    epoch: int
    """The owner's epoch: the higher one is the true owner."""
    topology: int
    now_s: int | None
    """The partition's now: wall time, or in event mode its own event time (None before the first reading)."""
    written_at_s: float
    """Wall time of the writing: a reader takes the age of the record from it."""
    last_received_at_s: float | None
    """Wall time at which the partition last took a reading; None before the first."""
    meters: int
    """Valid meters, boundary meters apart."""
    heard: int
    """Of these, heard within two of their own cadences and a minute."""
    newest_s: int | None
    """The instant of the newest reading of any of these meters."""
    withdrawn_w: int
    injected_w: int
    charged_w: int
    discharged_w: int
    soc_wh: int | None
    """Energy content of the storages that send one; None when none does."""
    window_start_s: int | None
    """The running window, by `now_s`."""
    withdrawn_wh: int
    """Energy so far in the running window: what is known, and from there on to now each heard meter's power."""
    injected_wh: int
    charged_wh: int
    discharged_wh: int
    withdrawn_expected_wh: int
    """Where it will end: energy so far and each heard meter's power to the window's end."""
    injected_expected_wh: int
    charged_expected_wh: int
    discharged_expected_wh: int

    @property
    def key(self) -> bytes:
        """The message's key."""
        return f"{self.zone}|{self.partition}".encode()


def encode_live_record(record: LiveRecord) -> bytes:
    """The message's value."""
    return orjson.dumps(record)


def decode_live_record(value: bytes) -> LiveRecord:
    """The record in a message's value."""
    return LiveRecord(**orjson.loads(value))
