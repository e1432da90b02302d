// The newest orders of a zone with what was delivered of each, and the offers that wait for an order. What an order
// that is over delivered is asked for again once a minute, as long as corrections may change it.
import { secondsOf } from "./figures.js";
import { askJson } from "./server.js";

const SHOWN = 10;
const OUTCOME_KEPT_MS = 60_000;
const UNCHANGING = ["settled", "cancelled"];
const HOURS_A_WINDOW = 0.25;

export class ZoneOrders {
  #outcomes = new Map(); // order → {outcome, status, at}
  #now;

  // `now()` gives the data's own time, seconds; null before the first reading.
  constructor(now) {
    this.#now = now;
  }

  // {orders, offers}; an order has an `outcome` {ordered_wh, delivered_wh, windows} once its period has begun. Only the
  // followed one has `windows`: the one that runs now, else the newest that has begun.
  async ask(zone) {
    const named = `zone=${encodeURIComponent(zone)}`;
    const { rows: orders } = await askJson(`v1/flexibility/orders?${named}&limit=${SHOWN}`);
    const { rows: offers } = await askJson(`v1/flexibility/requests?${named}&status=offered&limit=${SHOWN}`);
    const begun = orders.filter((order) => this.#now() !== null && secondsOf(order.from) <= this.#now());
    const followed = begun.find((order) => order.status !== "cancelled");
    const outcomes = new Map();
    for (const order of begun) {
      const read = order === followed ? windowByWindow : inSum;
      outcomes.set(order.id, await this.#outcome(order, read));
    }
    this.#outcomes = outcomes;
    return { offers, orders: orders.map((order) => ({ ...order, outcome: outcomes.get(order.id)?.outcome ?? null })) };
  }

  async #outcome(order, read) {
    const known = this.#outcomes.get(order.id);
    const asked = performance.now();
    if (known?.read === read && known.status === order.status && isOver(order, known.outcome, this.#now())) {
      if (UNCHANGING.includes(order.status) || asked - known.asked < OUTCOME_KEPT_MS) return known;
    }
    return { read, status: order.status, asked, outcome: await read(order.id) };
  }
}

// The last windows are told a moment after the period has ended.
function isOver(order, outcome, now) {
  return now >= secondsOf(order.to) && (outcome.windows ?? []).every((window) => window.delivered_kw !== null);
}

async function windowByWindow(order) {
  const { verification } = await askJson(`v1/flexibility/orders/${encodeURIComponent(order)}`);
  const told = verification.filter((window) => window.delivered_kw !== null);
  const sum_wh = (name) => told.reduce((sum, window) => sum + window[name] * 1000 * HOURS_A_WINDOW, 0);
  return { ordered_wh: sum_wh("ordered_kw"), delivered_wh: sum_wh("delivered_kw"), windows: verification };
}

async function inSum(order) {
  const { totals } = await askJson(`v1/flexibility/orders/${encodeURIComponent(order)}/settlement?limit=1`);
  return { ordered_wh: totals.ordered_wh, delivered_wh: totals.delivered_wh, windows: null };
}
