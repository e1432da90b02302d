"""The parts of flexibility, put together."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.flexibility.dispatch_sender import DispatchSender
from services.api.flexibility.orders import FlexibilityOrders, ForecasterOf
from services.api.flexibility.requests import FlexibilityRequests
from services.api.flexibility.round import FlexibilityRound
from services.api.flexibility.simulation import FlexibilitySimulation
from services.api.flexibility.situation import SituationView
from services.api.flexibility.zone_prospects import ForecastOf
from services.api.leadership import Leadership
from services.api.live_view import LiveView
from services.api.signals.asset_view import AssetView
from services.api.topology_shelf import TopologyShelf
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Flexibility:
    """Requests, orders, what-if, and what runs beside them."""

    situations: SituationView
    requests: FlexibilityRequests
    orders: FlexibilityOrders
    simulation: FlexibilitySimulation
    sender: DispatchSender
    round: FlexibilityRound


def make_flexibility(
    settings: Settings,
    engine: AsyncEngine,
    shelf: TopologyShelf,
    view: LiveView,
    assets: AssetView,
    leadership: Leadership,
    forecast_of: ForecastOf,
    forecaster_of: ForecasterOf,
) -> Flexibility:
    """The parts, not yet running."""
    situations = SituationView(shelf, view, assets, forecast_of)
    sender = DispatchSender(settings, engine, leadership)
    return Flexibility(
        situations=situations,
        requests=FlexibilityRequests(engine, situations, settings.clock, settings.offer_s),
        orders=FlexibilityOrders(engine, situations, forecaster_of, sender.wake),
        simulation=FlexibilitySimulation(engine, situations),
        sender=sender,
        round=FlexibilityRound(engine, view, leadership),
    )
