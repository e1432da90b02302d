"""What the routes of flexibility are sent, and what it means once it is checked."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import INSTANT
from services.api.flexibility.words import Acknowledgement, Direction
from services.api.query_instants import LATEST_INSTANT_S
from services.api.topology_terms import TopologyTerms
from shared.instants import format_instant, parse_instant, window_start
from shared.limits import (
    EARLIEST_INSTANT_S,
    IDENTIFIER_CHARACTERS_MAX,
    KW_MAX,
    NAME_CHARACTERS_MAX,
    QUARTER_S,
    REQUEST_AHEAD_S_MAX,
    REQUEST_S_MAX,
    VERSION_MAX,
)
from shared.problem import Problem

Kilowatts = Annotated[float, Field(strict=True, gt=0, le=KW_MAX, allow_inf_nan=False, examples=[5])]
"""A power in a body, with three decimals at most: whole W."""

_STORABLE = r"^[^\x00]*$"
"""PostgreSQL keeps any text but one with NUL."""

Name = Annotated[str, Field(max_length=IDENTIFIER_CHARACTERS_MAX, pattern=_STORABLE)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RequestBody(_Body):
    """A wish for flexibility."""

    zone: Name = Field(examples=["S"])
    direction: Direction
    kw: Kilowatts
    from_: str = Field(alias="from", examples=[INSTANT], description="On a quarter of an hour, with an offset.")
    to: str = Field(examples=["2026-05-04T11:00:00Z"], description="Not included.")


class OrderBody(_Body):
    """How much of an offer is ordered."""

    kw: Kilowatts


class AcknowledgementBody(_Body):
    """What an asset's controller says to the set-points of an order."""

    asset: Name = Field(examples=["A-1"])
    acknowledgement: Acknowledgement
    detail: str = Field(
        "", max_length=NAME_CHARACTERS_MAX, pattern=_STORABLE, examples=["inverter off for maintenance"]
    )
    revision: int | None = Field(
        None, ge=0, le=VERSION_MAX, description="Of the set-points meant; left out: those that stand."
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has been checked."""

    zone: str
    direction: Direction
    power_w: int
    from_s: int
    to_s: int

    @property
    def windows(self) -> int:
        """How many windows its period has."""
        return (self.to_s - self.from_s) // QUARTER_S

    @property
    def starts_s(self) -> range:
        """Where its windows start."""
        return range(self.from_s, self.to_s, QUARTER_S)


def parse_request(body: RequestBody) -> Asked:
    """The request that `body` is, whenever it is sent. Raises Problem 422."""
    from_s, to_s = quarter("from", body.from_), quarter("to", body.to)
    if from_s >= to_s:
        raise Problem(422, "`to` must lie after `from`.")
    return Asked(body.zone, body.direction, watts(body.kw), from_s, to_s)


def check_request(asked: Asked, terms: TopologyTerms, now_s: int | None) -> None:
    """Raises Problem 422 unless `asked` can be asked at `now_s` (None: nothing has been heard yet)."""
    if asked.zone not in terms.zone_index:
        raise Problem(422, f"`zone`: the topology in force has no zone {asked.zone!r}; GET /v1/zones lists them.")
    check_period(asked.from_s, asked.to_s, now_s)


def check_period(from_s: int, to_s: int, now_s: int | None, names: tuple[str, str] = ("from", "to")) -> None:
    """Raises Problem 422 unless assets can be asked for that period at `now_s` (None: not known yet)."""
    if to_s - from_s > REQUEST_S_MAX:
        raise Problem(422, f"A period may be {REQUEST_S_MAX // 3600} hours long at most; ask for the rest by another.")
    if now_s is None:
        return
    running_s = window_start(now_s)
    if from_s < running_s:
        began = format_instant(running_s)
        raise Problem(422, f"`{names[0]}` lies before the window that runs now; it began at {began}.")
    if to_s > running_s + REQUEST_AHEAD_S_MAX:
        latest = format_instant(running_s + REQUEST_AHEAD_S_MAX)
        raise Problem(422, f"`{names[1]}` lies too far ahead: the period may end at {latest}, 48 hours from now.")


def watts(kw: float, name: str = "kw") -> int:
    """A power in W. Raises Problem 422 when it has more than three decimals."""
    power_w = round(kw * 1000)
    if power_w / 1000 != kw:
        raise Problem(422, f"`{name}` may have three decimals at most (whole W), not {kw}.")
    return power_w


def quarter(name: str, text: str) -> int:
    """The instant in field `name`, seconds since 1970. Raises Problem 422 unless it is on a quarter of an hour."""
    try:
        instant_s = parse_instant(text)
    except ValueError as error:
        raise Problem(422, f"`{name}`: {error}.") from error
    if not EARLIEST_INSTANT_S <= instant_s <= LATEST_INSTANT_S:
        raise Problem(422, f"`{name}` must lie between the years 2000 and 2100, not at {text[:64]}.")
    if instant_s % QUARTER_S:
        raise Problem(422, f"`{name}` must lie on a quarter of an hour, not at {text[:64]}.")
    return instant_s
