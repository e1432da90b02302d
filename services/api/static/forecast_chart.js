// What is expected of the selected zone in the next 48 hours: net power in kW (P50) in its band from P10 to P90, import
// above the axis, export below, beside the zone's limits; and how far such forecasts have been from what came.
import { byId, setAttribute, setClass, setHidden, setText } from "./elements.js";
import { formatClock, formatDay, formatMoment, formatNumber, NOTHING, secondsOf, zoneLabel } from "./figures.js";
import { axes, colour, decimalsOf, keepFitting, limitLines, line, rangeWith, split, upright, warsaw } from "./chart_style.js";
import { askJson } from "./server.js";
import { say } from "./words.js";
import { ZoneAnswer } from "./zone_answer.js";
import { limitKw } from "./zone_store.js";

/* global uPlot */

const WINDOW_S = 900;
const FETCH_EVERY_MS = 5000;
const OLD_S = 2 * 3600; // a forecast is issued each quarter of an hour: one of two hours ago is not the newest
const FIGURES = ["p10_kw", "p50_kw", "p90_kw"];

export class ForecastChart {
  #place = byId("forecast-chart");
  #plot = null;
  #zone = null;
  #now = null;
  #forecast;
  #askedAt = null;

  constructor(onProblem) {
    this.#forecast = new ZoneAnswer((zone) => this.#ask(zone), FETCH_EVERY_MS, () => this.draw(this.#now), onProblem);
    keepFitting(this.#place, () => this.#plot, () => this.remake());
  }

  show(zone) {
    this.#zone = zone;
    this.#forecast.show(zone.zone);
  }

  refresh() {
    this.#forecast.refresh();
  }

  // What is expected of the window that begins at this instant; null when that is not known.
  rowAt(start) {
    return this.#rows.find((row) => secondsOf(row.window_start) === start) ?? null;
  }

  draw(now) {
    this.#now = now;
    const rows = this.#rows;
    const issued = secondsOf(this.#forecast.answer?.issued_at);
    if (isQuarterLater(issued ?? this.#askedAt, now)) this.refresh(); // there should be a newer one
    setHidden(this.#place, rows.length === 0);
    if (rows.length === 0) return this.#say(this.#whyNone());
    setClass(this.#place, "outdated", now !== null && issued + OLD_S < now);
    this.#plot ??= this.#make();
    const data = columns(rows);
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: data[0][0], max: data[0].at(-1) });
    this.#legend();
  }

  remake() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#zone) this.draw(this.#now);
  }

  #ask(zone) {
    this.#askedAt = this.#now;
    return askJson(`v1/zones/${encodeURIComponent(zone)}/forecast`);
  }

  get #rows() {
    return this.#forecast.answer?.rows ?? [];
  }

  #whyNone() {
    if (this.#forecast.failed) return say("forecast_failed");
    if (this.#forecast.loading) return say("forecast_loading");
    return say("forecast_none", { reason: this.#forecast.answer?.reason ?? NOTHING });
  }

  #make() {
    const bound = { stroke: colour("muted"), width: 0.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) };
    const limits = () => limitLines(this.#zone);
    this.#place.replaceChildren();
    return new uPlot(
      {
        width: this.#place.clientWidth,
        height: 180,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        tzDate: warsaw,
        scales: { x: { time: true }, y: { range: (plot, low, high) => rangeWith(low, high, limits()) } },
        axes: axes(decimalsOf),
        series: [{}, bound, { ...bound, stroke: split("import", "export"), width: 2 }, bound],
        bands: [{ series: [3, 1], fill: colour("band") }],
        hooks: {
          drawAxes: [(plot) => line(plot, 0, colour("muted"))],
          draw: [
            (plot) => {
              for (const limit of limits()) line(plot, limit, colour("red"), [6, 4]);
              upright(plot, this.#now, colour("text"), [2, 3]);
            },
          ],
          setCursor: [() => this.#legend()],
        },
      },
      [[], [], [], []],
      this.#place,
    );
  }

  #say(text) {
    setText(byId("forecast-legend"), text);
  }

  // The window under the pointer; else how good the forecast is and when it was issued.
  #legend() {
    const rows = this.#rows;
    const summary = [this.#error(), ...limitNotes(this.#zone), this.#issued()].join(" · ");
    const pointed = this.#plot?.cursor.idx;
    const row = pointed === null || pointed === undefined ? null : rows[Math.min(pointed, rows.length - 1)];
    const text = row ? describe(row) : summary;
    this.#say(this.#forecast.failed ? `${text} · ${say("forecast_failed")}` : text);
    setAttribute(this.#place, "aria-label", say("forecast_label", { zone: this.#zone.name, first: describe(rows[0]), summary }));
  }

  #error() {
    const { mae_kw: mae, naive_mae_kw: naive } = this.#forecast.answer;
    if (mae === null) return say("forecast_error_unknown");
    return say("forecast_error", { mae: kilowatts(mae), naive: kilowatts(naive) });
  }

  #issued() {
    return say("forecast_issued", { time: formatMoment(secondsOf(this.#forecast.answer.issued_at)) });
  }
}

function isQuarterLater(before, now) {
  return now !== null && Math.floor(before / WINDOW_S) < Math.floor(now / WINDOW_S);
}

// The last window gets its end, so that its step has a width.
function columns(rows) {
  const starts = rows.map((row) => secondsOf(row.window_start));
  const figures = FIGURES.map((name) => [...rows.map((row) => row[name]), rows.at(-1)[name]]);
  return [[...starts, starts.at(-1) + WINDOW_S], ...figures];
}

function limitNotes(zone) {
  return ["import", "export"]
    .filter((way) => limitKw(zone, way) !== null)
    .map((way) => say(`forecast_limit_${way}`, { kw: formatNumber(limitKw(zone, way)) }));
}

function describe(row) {
  const start = secondsOf(row.window_start);
  const time = `${formatDay(start)} ${formatClock(start)}–${formatClock(start + WINDOW_S)} ${zoneLabel(start)}`;
  const [p10, p50, p90] = FIGURES.map((name) => kilowatts(row[name]));
  return say("forecast_row", { time, p10, p50, p90 });
}

function kilowatts(value) {
  return formatNumber(value, value !== null && Math.abs(value) >= 1000 ? 0 : 1);
}
