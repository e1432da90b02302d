"""Baselines once more, in plain Python: one window after the other, by the words of docs/baselines.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from shared.holidays import is_rest_day

WARSAW = ZoneInfo("Europe/Warsaw")
QUARTER = 900
HOUR = 3600


@dataclass
class PlainEvent:
    """An event on some day, and what was known then."""

    starts: list[int]
    known_until: int
    known: Mapping[int, int]
    """Usable windows: start and net energy, whatever their time."""

    def value(self, start: int | None) -> int | None:
        if start is None or start + QUARTER > self.known_until:
            return None
        return self.known.get(start)

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.starts[0], WARSAW).date()

    def on(self, days_back: int, start: int) -> int | None:
        """The window of the same local time so many days before."""
        clock = datetime.fromtimestamp(start, WARSAW)
        there = clock.replace(tzinfo=None, fold=clock.fold) - timedelta(days=days_back)
        instant = int(there.replace(tzinfo=WARSAW, fold=clock.fold).timestamp())
        return (
            instant
            if datetime.fromtimestamp(instant, WARSAW).replace(tzinfo=None, fold=0) == there.replace(fold=0)
            else None
        )

    def days_alike(self) -> list[int]:
        rest = is_rest_day(self.day)
        return [
            back
            for back in range(1, 46)
            if is_rest_day(self.day - timedelta(days=back)) == rest
            and all(self.value(self.on(back, start)) is not None for start in self.starts)
        ]

    def mean(self, days: list[int]) -> list[int]:
        excess = []
        for start in range(self.starts[0] - 4 * HOUR, self.starts[0] - HOUR, QUARTER):
            then = [self.value(self.on(back, start)) for back in days]
            now = self.value(start)
            if now is not None and None not in then:
                excess.append(now - Fraction(sum(value for value in then if value is not None), len(days)))
        shift = sum(excess) / len(excess) if len(excess) >= 4 else Fraction(0)
        found = []
        for start in self.starts:
            values = [self.value(self.on(back, start)) for back in days]
            mean = Fraction(sum(value for value in values if value is not None), len(days)) + shift
            found.append((mean + Fraction(1, 2)).__floor__())
        return found

    def ten_of_ten(self) -> list[int] | None:
        alike = self.days_alike()[:10]
        return self.mean(alike) if len(alike) >= 5 else None

    def mid_four_of_six(self) -> list[int] | None:
        alike = self.days_alike()[:6]
        if len(alike) < 6:
            return None
        by_sum = sorted(
            alike, key=lambda back: (sum(self.value(self.on(back, start)) or 0 for start in self.starts), -back)
        )
        return self.mean(by_sum[1:5])

    def meter_before(self) -> list[int] | None:
        last = self.known_until // QUARTER * QUARTER
        values = [self.value(start) for start in range(last - 24 * HOUR, last, QUARTER)]
        used = [value for value in values if value is not None][-4:]
        if not used:
            return None
        return [(Fraction(sum(used), len(used)) + Fraction(1, 2)).__floor__()] * len(self.starts)
