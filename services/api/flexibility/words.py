"""The states of flexibility, as the tables and the answers name them."""

from enum import StrEnum


class Direction(StrEnum):
    """Up: less withdrawal or more injection; down: the opposite (design section 1)."""

    UP = "up"
    DOWN = "down"


class RequestStatus(StrEnum):
    """Where a request stands."""

    OFFERED = "offered"
    DECLINED = "declined"
    """Nothing can be held."""
    ORDERED = "ordered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class OfferStatus(StrEnum):
    """Where an offer stands."""

    OPEN = "open"
    ORDERED = "ordered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ReservationStatus(StrEnum):
    """Whether a power is promised: held by an open offer, or ordered; a released one is free for others."""

    HELD = "held"
    ORDERED = "ordered"
    RELEASED = "released"


class OrderStatus(StrEnum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    """Its set-points are on their way."""
    DISPATCHED = "dispatched"
    """All are sent."""
    DELIVERED = "delivered"
    """Its period is over."""
    SETTLED = "settled"
    """Each window is final."""
    CANCELLED = "cancelled"


class Acknowledgement(StrEnum):
    """What an asset's controller says to its set-points."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
