// The newest orders of the selected zone: when, how much, which way, where they stand, and what was delivered.
import { byId, make, setHidden, setLength, setText } from "./elements.js";
import { formatClock, formatDay, formatKilo, formatNumber, formatShare, NOTHING, secondsOf } from "./figures.js";
import { say } from "./words.js";

export class OrdersTable {
  #shown = "";

  // `orders` is a ZoneAnswer of ZoneOrders.
  draw(orders) {
    const rows = orders.answer?.orders ?? [];
    setHidden(byId("orders"), rows.length === 0);
    setText(byId("orders-note"), notes(orders).join(" · "));
    const shown = JSON.stringify([document.documentElement.lang, rows]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    byId("order-rows").replaceChildren(...rows.flatMap(orderRows));
  }
}

function notes(orders) {
  if (orders.loading) return [say("orders_loading")];
  const found = orders.failed ? [say("orders_failed")] : [];
  if (orders.answer === null) return found;
  if (orders.answer.orders.length === 0) found.push(say("orders_none"));
  for (const { direction, offer, ...request } of orders.answer.offers) {
    if (offer === null) continue;
    const until = formatClock(secondsOf(offer.expires_at), true);
    found.push(say("offer_open", { direction: say(`way_${direction}`), kw: formatNumber(offer.kw, 1), period: periodParts(request).join(" "), until }));
  }
  return found;
}

function orderRows(order) {
  const row = make("tr");
  const period = make("th");
  const [first, last] = periodParts(order).map((part) => make("span", "", part));
  period.scope = "row";
  period.append(first, " ", last);
  const kw = make("td", "number", formatNumber(order.kw, 1));
  const delivered = make("td", "number");
  delivered.append(...deliveredParts(order.outcome));
  row.append(period, make("td", `way ${order.direction}`, say(`way_${order.direction}`)), kw, make("td", "", say(`order_${order.status}`)), delivered);
  return order.outcome?.windows?.length > 0 ? [row, windowsRow(order.outcome.windows)] : [row];
}

function deliveredParts(outcome) {
  if (outcome === null || outcome.ordered_wh === 0) return [NOTHING];
  const energy = say("delivered_of", { delivered: formatKilo(outcome.delivered_wh), ordered: formatKilo(outcome.ordered_wh) });
  return [make("b", "", formatShare(outcome.delivered_wh / outcome.ordered_wh)), " ", make("small", "muted", energy)];
}

// A bar a window: its frame is what was ordered, its filling what was delivered; dashed while that is not known.
function windowsRow(windows) {
  const row = make("tr", "windows");
  const cell = make("td");
  const bars = make("div", "window-bars");
  cell.colSpan = 5;
  bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", say("windows_label", { windows: windows.map(windowText).join(", ") }));
  for (const window of windows) {
    const share = deliveredShare(window);
    const bar = make("span", share === null ? "window-bar unknown" : "window-bar");
    const fill = make("span", "fill");
    setLength(fill, "--fill", String(share ?? 0));
    bar.title = windowText(window);
    bar.append(fill);
    bars.append(bar);
  }
  cell.append(bars);
  row.append(cell);
  return row;
}

function windowText(window) {
  const share = deliveredShare(window);
  return `${formatClock(secondsOf(window.window_start))} ${share === null ? say("not_known") : formatShare(share)}`;
}

function deliveredShare({ delivered_kw: delivered, ordered_kw: ordered }) {
  return delivered === null || ordered === 0 ? null : delivered / ordered;
}

// Its day and its hours, or its two ends: a line breaks between them, not within.
function periodParts({ from, to }) {
  const [start, end] = [secondsOf(from), secondsOf(to)];
  const days = [formatDay(start), formatDay(end)];
  const hours = [formatClock(start), formatClock(end)];
  if (days[0] === days[1]) return [days[0], hours.join("–")];
  return [`${days[0]} ${hours[0]}`, `– ${days[1]} ${hours[1]}`];
}
