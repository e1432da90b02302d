"""`GET /v1/zones/{zone}/forecast`: net power of the next 48 hours, from memory."""

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from services.api.answers import zone_not_found
from services.api.forecasting.forecast_models import ForecastAnswer
from services.api.forecasting.forecast_store import ErrorSums
from services.api.kilowatts import kilowatts
from services.api.service import Service
from shared.instants import format_instant
from shared.problem import problem_responses

router = APIRouter(tags=["live"])


@router.get(
    "/v1/zones/{zone}/forecast",
    summary="A zone's net power of the next 48 hours",
    response_model=ForecastAnswer,
    responses=problem_responses(401, 404),
)
async def forecast(service: Service, zone: str) -> Response:
    """P10, P50 and P90 of the mean power of each quarter of an hour, positive for import.

    A forecast is made each quarter of an hour of now, from the zone's own history of three local days at least.
    """
    if zone not in service.shelf.newest.zone_index:
        raise zone_not_found(zone)
    found, errors = service.forecasts.of(zone), service.forecasts.errors(zone)
    columns = () if found is None else (found.window_start_s, found.p10_w, found.p50_w, found.p90_w)
    rows = [
        {
            "window_start": format_instant(start_s),
            "p10_kw": kilowatts(p10_w),
            "p50_kw": kilowatts(p50_w),
            "p90_kw": kilowatts(p90_w),
        }
        for start_s, p10_w, p50_w, p90_w in zip(*(column.tolist() for column in columns), strict=True)
    ]
    answer = {
        "zone": zone,
        "issued_at": None if found is None else format_instant(found.issued_s),
        "rows": rows,
        "mae_kw": None if errors is None else _mean_kw(errors.error_wh, errors),
        "naive_mae_kw": None if errors is None else _mean_kw(errors.naive_error_wh, errors),
        "reason": service.forecasts.reason(zone),
    }
    return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _mean_kw(error_wh: int, errors: ErrorSums) -> float:
    """Energy (Wh) missed in so many quarters of an hour, as mean power."""
    return round(error_wh * 4 / errors.windows / 1000, 3)
