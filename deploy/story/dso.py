"""A DSO's system, by the REST API alone: it watches a zone's signals, asks for flexibility, orders, and follows it."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import httpx

from shared.errors import BilansError
from shared.instants import format_instant, parse_instant

Document = dict[str, Any]

_LOOK_S = 0.25
_GOAL = 0.7
"""The DSO wants export back at this part of the limit: well below the 75 % at which amber ends."""


class Dso:
    """What the DSO does in the story."""

    def __init__(self, api: httpx.AsyncClient, zone: str, since_s: int, say: Callable[[str], None]) -> None:
        """It looks from the instant `since_s` on; `say` takes each step as a line for people."""
        self._api = api
        self._zone = zone
        self._since_s = since_s
        self._say = say
        self._now_s = 0
        self.states: list[str] = []
        """The zone's states as they followed one another."""

    async def watch(self) -> None:
        """Tells each change of the zone's state, until cancelled."""
        while True:
            signals = await self._get(f"/v1/zones/{self._zone}/signals")
            self._now_s = parse_instant(signals["at"]) if signals["at"] else 0
            if self._now_s >= self._since_s and (not self.states or self.states[-1] != signals["state"]):
                self.states.append(signals["state"])
                reasons = "; ".join(signals["reasons"]) or "within its limits"
                self._say(f"{clock_of(signals['at'])}  {self._zone} is {colour(signals['state'])}: {reasons}")
            await asyncio.sleep(_LOOK_S)

    async def wait_for(self, state: str, within_s: float) -> None:
        """Waits until the zone is in `state`. Raises BilansError when it does not come."""
        until_s = time.monotonic() + within_s
        while not self.states or self.states[-1] != state:
            if time.monotonic() > until_s:
                raise BilansError(f"{self._zone} did not become {state} within {within_s:.0f} s ({self.states}).")
            await asyncio.sleep(_LOOK_S)

    async def wait_until(self, instant_s: int, within_s: float) -> None:
        """Waits until the zone's now has come to an instant. Raises BilansError when it does not."""
        until_s = time.monotonic() + within_s
        while self._now_s < instant_s:
            if time.monotonic() > until_s:
                raise BilansError(f"It did not become {format_instant(instant_s)} within {within_s:.0f} s.")
            await asyncio.sleep(_LOOK_S)

    async def relief_kw(self, from_s: int, to_s: int) -> int:
        """How much less export is wanted: what flows now, or will by the forecast, less the goal, in whole 5 kW."""
        signals = await self._get(f"/v1/zones/{self._zone}/signals")
        limit_kw: float = (await self._get(f"/v1/zones/{self._zone}/live"))["export_limit_kw"]
        export_kw: float = limit_kw - signals["headroom_export_kw"]
        forecast = await self._get(f"/v1/zones/{self._zone}/forecast")
        for row in forecast["rows"]:
            if from_s <= parse_instant(row["window_start"]) < to_s:
                export_kw = max(export_kw, -row["p50_kw"])
        return math.ceil((export_kw - _GOAL * limit_kw) / 5) * 5

    async def ask_and_order(self, direction: str, kw: int, from_s: int, to_s: int, why: str) -> Document:
        """Asks for `kw` over a period and orders all that is offered. Raises BilansError when that is nothing."""
        start, end = format_instant(from_s), format_instant(to_s)
        now = clock_of(format_instant(self._now_s))
        self._say(f"{now}  the DSO asks for {kw} kW {direction}, {clock_of(start)} to {clock_of(end)}: {why}")
        asked = {"zone": self._zone, "direction": direction, "kw": kw, "from": start, "to": end}
        key = {"Idempotency-Key": f"story-{self._zone}-{from_s}"}
        offer = (request := await self._post("/v1/flexibility/requests", asked, key))["offer"]
        if offer is None:
            raise BilansError(f"Nothing was offered: {request}.")
        self._say(f"       offered: {offer['kw']:g} kW for {float(offer['cost']):.2f} PLN, until {offer['expires_at']}")
        order = await self._post(f"/v1/flexibility/offers/{offer['id']}/order", {"kw": offer["kw"]}, {})
        self._say(f"       {_setpoints_of(order, start)}")
        return order

    async def verified(self, order_id: str, within_s: float) -> Document:
        """The order once each of its windows is measured. Raises BilansError when that takes longer."""
        until_s = time.monotonic() + within_s
        while True:
            order = await self._get(f"/v1/flexibility/orders/{order_id}")
            windows = order["verification"]
            if windows and all(window["actual_kw"] is not None for window in windows):
                return order
            if time.monotonic() > until_s:
                raise BilansError(f"The order {order_id} is not measured after {within_s:.0f} s: {windows}.")
            await asyncio.sleep(_LOOK_S)

    async def _get(self, path: str) -> Document:
        return _answer(await self._api.get(path))

    async def _post(self, path: str, body: Document, headers: dict[str, str]) -> Document:
        return _answer(await self._api.post(path, json=body, headers=headers))


def clock_of(instant: str | None) -> str:
    """The time of day of an instant, UTC."""
    return "--:--" if instant is None else instant[11:16]


def colour(state: str) -> str:
    """A state in its own colour, for a rich console."""
    style = {"green": "bold green", "amber": "bold yellow", "red": "bold red"}.get(state, "bold")
    return f"[{style}]{state}[/{style}]"


def _answer(answer: httpx.Response) -> Document:
    if answer.is_error:
        raise BilansError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    document: Document = answer.json()
    return document


def _setpoints_of(order: Document, window_start: str) -> str:
    """An order's size, and the greatest set-points of its first window."""
    rows = [row for row in order["dispatch"] if row["window_start"] == window_start]
    rows.sort(key=lambda row: -abs(row["setpoint_kw"]))
    shown = [f"{row['asset']} {row['setpoint_kw']:+g} kW" for row in rows[:5]]
    rest = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"ordered {order['kw']:g} kW: {len(order['dispatch'])} set-points; first window: {', '.join(shown)}{rest}"
