"""What a person can do about a rejected reading, by its reason, and what a retry of it can come to."""

from shared.limits import FUTURE_S_MAX, READING_BYTES_MAX, VALUE_MAX
from shared.words import RejectReason

WAY_OUT = {
    RejectReason.OVERSIZED: f"A reading has at most {READING_BYTES_MAX:,} bytes: the sender has to send one reading a "
    "line and leave out what Bilans does not need. Sending these bytes again changes nothing.",
    RejectReason.MALFORMED: "It is no JSON object with `meter`, `register`, `ts` as text and `value`: the sender has "
    "to be mended, and the reading sent anew. Sending these bytes again changes nothing.",
    RejectReason.UNKNOWN_METER: "The topology has no such meter: add it to meters.csv, load it with `bilans topology "
    "load`, then `bilans rejected retry --reason unknown_meter` applies what came before.",
    RejectReason.UNKNOWN_REGISTER: "The meter's row does not name this register: add it in meters.csv, load it with "
    "`bilans topology load`, then `bilans rejected retry --reason unknown_register` applies what came before.",
    RejectReason.BAD_TIMESTAMP: "`ts` has to be ISO 8601 with an offset, from 2000 on: the sender's clock or format "
    "has to be mended, and the reading sent anew. Sending these bytes again changes nothing.",
    RejectReason.FUTURE_TIMESTAMP: f"It was over {FUTURE_S_MAX} s ahead of the clock: if the instant is right, send it "
    "again once it has passed; else the meter's clock has to be set.",
    RejectReason.BAD_VALUE: f"`value` has to be a whole number from 0 to {VALUE_MAX:,}, in Wh or W: the sender has to "
    "be mended, and the reading sent anew. Sending these bytes again changes nothing.",
    RejectReason.CONFLICT: "Another value of the same version came first and stands. If this one is right, send it "
    "anew with a higher `version`; sent again as it is, it is rejected again or changes nothing.",
}
"""What to do, a sentence or two for each reason."""

HOPELESS = frozenset(
    (RejectReason.OVERSIZED, RejectReason.MALFORMED, RejectReason.BAD_TIMESTAMP, RejectReason.BAD_VALUE)
)
"""Reasons that lie in the bytes alone: the same bytes are rejected for the same reason again."""


def warnings(counts: dict[RejectReason, int]) -> list[str]:
    """What to know before so many readings of each reason are sent again, a line each."""
    said = [
        f"{count:,} {reason}: the same bytes will be rejected again."
        for reason, count in counts.items()
        if reason in HOPELESS
    ]
    if conflicts := counts.get(RejectReason.CONFLICT, 0):
        said.append(
            f"{conflicts:,} conflict: ingest takes them, but unless the other value is gone they are rejected again or "
            "change nothing; a correction needs a higher `version`, sent by its sender."
        )
    return said
