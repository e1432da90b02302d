"""The answers about requests and orders as models, for `/openapi.json`; tests hold real answers to them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import INSTANT
from services.api.flexibility.words import Acknowledgement, Direction, OfferStatus, OrderStatus, RequestStatus
from services.api.verification.verification_models import BaselineAnswer, VerificationRow

_ID = "6f7c5b1e-3a53-4c0e-9d53-0a4b6f0a3c11"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OfferedWindow(_Answer):
    """A window of an offer."""

    window_start: str = Field(examples=[INSTANT])
    kw: float = Field(examples=[5])


class OfferAnswer(_Answer):
    """What can be held all of the period, and is held until `expires_at`."""

    id: str = Field(examples=[_ID])
    status: OfferStatus
    kw: float = Field(examples=[5], description="Not more than was asked for.")
    cost: float = Field(examples=[1.5], description="Of all of it, in the currency of the assets' costs.")
    expires_at: str = Field(examples=["2026-05-04T09:50:00Z"], description="Wall time.")
    windows: list[OfferedWindow]


class RequestAnswer(_Answer):
    """A request, and what was offered for it."""

    id: str = Field(examples=[_ID])
    status: RequestStatus
    zone: str = Field(examples=["S"])
    direction: Direction
    kw: float = Field(examples=[8])
    from_: str = Field(alias="from", examples=[INSTANT])
    to: str = Field(examples=["2026-05-04T11:00:00Z"])
    created_at: str = Field(examples=["2026-05-04T09:45:00.412345Z"])
    reason: str | None = Field(examples=[None], description="Why nothing is offered.")
    offer: OfferAnswer | None
    order: str | None = Field(examples=[None], description="The order of the offer, if any.")


class RequestsAnswer(_Answer):
    """A page of requests, the newest first."""

    rows: list[RequestAnswer]
    next: str | None = Field(examples=[None])


class StepRow(_Answer):
    """A step of a request's life."""

    at: str = Field(examples=["2026-05-04T09:45:00.412345Z"])
    subject: str = Field(examples=["offer"], description="request, offer or order")
    id: str = Field(examples=[_ID])
    step: str = Field(examples=["offered"])
    content: dict[str, Any] = Field(examples=[{"kw": 5, "method": "linear programme"}])


class StepsAnswer(_Answer):
    """All steps of a request, in their order."""

    request: str = Field(examples=[_ID])
    rows: list[StepRow]


class SetpointRow(_Answer):
    """What an asset is asked to do in a window."""

    asset: str = Field(examples=["A-1"])
    window_start: str = Field(examples=[INSTANT])
    setpoint_kw: float = Field(
        examples=[5], description="Positive for injection: the change from what it would do without the order."
    )
    revision: int = Field(examples=[0], description="A higher one replaces those before.")
    sent_at: str | None = Field(examples=["2026-05-04T09:46:00.412345Z"])
    acknowledged_at: str | None = Field(examples=["2026-05-04T09:46:01.412345Z"])
    acknowledgement: Acknowledgement | None
    detail: str | None = Field(examples=[None])


class OrderRow(_Answer):
    """An order, in short."""

    id: str = Field(examples=[_ID])
    status: OrderStatus
    offer: str = Field(examples=[_ID])
    request: str = Field(examples=[_ID])
    zone: str = Field(examples=["S"])
    direction: Direction
    kw: float = Field(examples=[5])
    cost: float = Field(examples=[1.5])
    from_: str = Field(alias="from", examples=[INSTANT])
    to: str = Field(examples=["2026-05-04T11:00:00Z"])
    ordered_at: str = Field(examples=["2026-05-04T09:46:00Z"], description="The service's now at the order.")
    cancelled_at: str | None = Field(examples=[None])
    created_at: str = Field(examples=["2026-05-04T09:46:00.412345Z"])


class OrderAnswer(OrderRow):
    """An order in full."""

    dispatch: list[SetpointRow]
    verification: list[VerificationRow]
    baseline: BaselineAnswer | None


class OrdersAnswer(_Answer):
    """A page of orders, the newest first."""

    rows: list[OrderRow]
    next: str | None = Field(examples=[None])
