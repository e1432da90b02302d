"""The answer of the simulation as a model, for `/openapi.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import INSTANT
from services.api.flexibility.models import OfferedWindow
from shared.words import LightState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SimulatedOffer(_Answer):
    """What would be offered."""

    kw: float = Field(examples=[5])
    cost: float = Field(examples=[1.5])
    windows: list[OfferedWindow]


class SimulatedSetpointRow(_Answer):
    """What an asset would be asked to do in a window."""

    asset: str = Field(examples=["A-1"])
    window_start: str = Field(examples=[INSTANT])
    setpoint_kw: float = Field(examples=[5])


class SimulatedWindow(_Answer):
    """A zone in a window, without the set-points and with them."""

    window_start: str = Field(examples=[INSTANT])
    net_kw_before: float | None = Field(
        examples=[7.5], description="Positive for import: the forecast's P50, else the power now; null: not known."
    )
    net_kw_after: float | None = Field(examples=[2.5])
    loading_before: float | None = Field(examples=[0.75], description="Of the direction that is nearer to its limit.")
    loading_after: float | None = Field(examples=[0.25])
    state_before: LightState = Field(description="By the thresholds alone; `stale` where the power is not known.")
    state_after: LightState


class SimulatedZone(_Answer):
    """A zone on the path of an asset that would be asked."""

    zone: str = Field(examples=["S"])
    import_limit_kw: float | None = Field(examples=[10])
    export_limit_kw: float | None = Field(examples=[12.5])
    windows: list[SimulatedWindow]


class BrokenLimit(_Answer):
    """Something that an asset could not do."""

    asset: str = Field(examples=["A-1"])
    limit: Literal["silent", "power", "energy"]
    window_start: str | None = Field(examples=[INSTANT], description="Null: over all windows.")
    detail: str = Field(examples=["8 kW up are asked for; 5 kW are left."])


class SimulationAnswer(_Answer):
    """What would become of the zones; nothing is stored or sent."""

    at: str = Field(examples=[INSTANT])
    offer: SimulatedOffer | None = Field(description="Null for set-points, and where nothing could be offered.")
    reason: str | None = Field(examples=[None], description="Why nothing could be offered.")
    dispatch: list[SimulatedSetpointRow]
    zones: list[SimulatedZone]
    broken: list[BrokenLimit]
