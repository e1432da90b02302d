"""The answer of `/v1/zones/{zone}/forecast` as a model."""

from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import INSTANT


class ForecastRow(BaseModel):
    """Net power of a zone in one window, positive for import."""

    model_config = ConfigDict(extra="forbid")

    window_start: str = Field(examples=[INSTANT])
    p10_kw: float = Field(examples=[-3.2], description="It will be less with a probability of 10 %.")
    p50_kw: float = Field(examples=[1.5])
    p90_kw: float = Field(examples=[4.1], description="It will be more with a probability of 10 %.")


class ForecastAnswer(BaseModel):
    """The newest forecast of a zone."""

    model_config = ConfigDict(extra="forbid")

    zone: str = Field(examples=["S"])
    issued_at: str | None = Field(examples=[INSTANT], description="Nothing from this instant on was known. Null: none.")
    rows: list[ForecastRow] = Field(description="192 windows, 48 hours; empty when there is no forecast.")
    mae_kw: float | None = Field(
        examples=[3.94],
        description="Mean absolute error of the last 7 local days' day-ahead forecasts; null: none yet.",
    )
    naive_mae_kw: float | None = Field(
        examples=[4.93],
        description="The same of the seasonal naive forecast, daily or weekly, whichever served better.",
    )
    reason: str | None = Field(examples=[None], description="Why there is no forecast; null when there is one.")
