"""What the simulation is sent: a request, or set-points."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from services.api.answers import INSTANT
from services.api.flexibility.bodies import Name, RequestBody
from shared.limits import KW_MAX, SIMULATED_SETPOINTS_MAX


class SimulatedSetpoint(BaseModel):
    """What an asset would be asked to do in a window."""

    model_config = ConfigDict(extra="forbid")

    asset: Name = Field(examples=["A-1"])
    window_start: str = Field(examples=[INSTANT], description="On a quarter of an hour, with an offset.")
    setpoint_kw: float = Field(
        strict=True,
        ge=-KW_MAX,
        le=KW_MAX,
        allow_inf_nan=False,
        examples=[5],
        description="Positive for injection: the change from what it would do otherwise.",
    )


class DispatchBody(BaseModel):
    """Set-points as an order would have them."""

    model_config = ConfigDict(extra="forbid")

    dispatch: list[SimulatedSetpoint] = Field(min_length=1, max_length=SIMULATED_SETPOINTS_MAX)


def _which(body: Any) -> str:
    has_dispatch = "dispatch" in body if isinstance(body, dict) else isinstance(body, DispatchBody)
    return "dispatch" if has_dispatch else "request"


SimulationBody = Annotated[
    Annotated[RequestBody, Tag("request")] | Annotated[DispatchBody, Tag("dispatch")], Discriminator(_which)
]
"""A request's fields, or `dispatch`."""
