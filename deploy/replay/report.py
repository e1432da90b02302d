"""What a replay reports: its last line, JSON, and rejections by reason."""

from dataclasses import dataclass

import orjson

from deploy.replay.publication import Books


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The figures of one run.

    `applied`, `unchanged` and `rejected` are what the books gained around it, other senders included; `pending` is how
    many late readings wait at its end, with `--wait` none.
    """

    sent: int
    books: Books
    seconds: float
    """From the opening of the file to the last acknowledgement, with `--wait` to the last reading's publication."""
    p50_ms: float | None
    p99_ms: float | None
    """From append to published, as deploy.replay.publication says; None when nothing was published meanwhile."""

    def last_line(self) -> str:
        """The JSON line of `bilans replay` (design section 6)."""
        document = {
            "sent": self.sent,
            "applied": self.books.applied,
            "unchanged": self.books.unchanged,
            "pending": self.books.pending,
            "rejected": sum(self.books.rejected.values()),
            "seconds": round(self.seconds, 3),
            "readings_per_second": round(self.sent / self.seconds) if self.seconds else 0,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
        }
        return orjson.dumps(document).decode()

    def rejections(self) -> str:
        """One line of rejections by reason; empty when there is none."""
        reasons = sorted(self.books.rejected.items(), key=lambda item: -item[1])
        return ", ".join(f"{reason} {count:,}" for reason, count in reasons)
