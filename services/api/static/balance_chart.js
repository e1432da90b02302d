// Import (above the axis) and export (below it) of each quarter of an hour of the last 24 hours, kWh, from the
// published balance; the running one from the live view, with where it is expected to end.
import { byId, setAttribute, setHidden, setText } from "./elements.js";
import { formatClock, formatDay, formatKilo, formatNumber, secondsOf, zoneLabel } from "./figures.js";
import { axes, colour, decimalsOf, keepFitting, line, rangeWith, upright, warsaw } from "./chart_style.js";
import { askJson } from "./server.js";
import { say } from "./words.js";
import { ZoneAnswer } from "./zone_answer.js";
import { limitKw } from "./zone_store.js";

/* global uPlot */

const WINDOW_S = 900;
const SPAN = 96; // quarters before the running one
const FETCH_EVERY_MS = 1000;

export class BalanceChart {
  #place = byId("balance-chart");
  #plot = null;
  #zone = null;
  #now = null;
  #rows = new Map(); // window start, seconds → row
  #balance;
  #askedTo = 0;

  constructor(onProblem) {
    this.#balance = new ZoneAnswer((zone) => this.#ask(zone), FETCH_EVERY_MS, () => this.#take(), onProblem);
    keepFitting(this.#place, () => this.#plot, () => this.remake());
  }

  show(zone) {
    if (this.#zone?.zone !== zone.zone) this.#rows.clear();
    this.#zone = zone;
    this.#balance.show(zone.zone);
  }

  // The balance changed.
  refresh() {
    this.#balance.refresh();
  }

  draw(now) {
    this.#now = now;
    setHidden(this.#place, !this.#zone || now === null);
    if (!this.#zone || now === null) return this.#say(say("chart_none"));
    const running = this.#running;
    if (running !== this.#askedTo) this.refresh();
    this.#plot ??= this.#make();
    const data = this.#data(running);
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: running - SPAN * WINDOW_S, max: running + WINDOW_S });
    this.#legend();
  }

  remake() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#zone) this.draw(this.#now);
  }

  get #running() {
    return Math.floor((this.#now ?? Date.now() / 1000) / WINDOW_S) * WINDOW_S;
  }

  #ask(zone) {
    const running = this.#running;
    this.#askedTo = running;
    const [from, to] = [running - SPAN * WINDOW_S, running + WINDOW_S].map((edge) => new Date(edge * 1000).toISOString().replace(".000", ""));
    return askJson(`v1/zones/${encodeURIComponent(zone)}/balance?from=${from}&to=${to}&resolution=15min&limit=1000`);
  }

  #take() {
    const rows = this.#balance.answer?.rows ?? [];
    this.#rows = new Map(rows.map((row) => [secondsOf(row.window_start), row]));
    this.draw(this.#now);
  }

  // Columns for the chart: settled import and export, then the running window's, then where it will end. A window
  // that is not known is a gap, not a zero.
  #data(running) {
    const columns = [[], [], [], [], [], [], []];
    for (let start = running - SPAN * WINDOW_S; start <= running; start += WINDOW_S) {
      const row = this.#rows.get(start);
      const live = start === running ? this.#liveWindow(running) : null;
      const settled = live ? null : row;
      const kilo = (value, sign) => (value ? (sign * value) / 1000 : null);
      columns[0].push(start);
      columns[1].push(kilo(settled?.import_wh, 1));
      columns[2].push(kilo(settled?.export_wh, -1));
      columns[3].push(kilo(live?.import_wh, 1));
      columns[4].push(kilo(live?.export_wh, -1));
      columns[5].push(kilo(live?.expected_import_wh, 1));
      columns[6].push(kilo(live?.expected_export_wh, -1));
    }
    return columns;
  }

  #liveWindow(running) {
    const window = this.#zone.live?.window;
    return window && secondsOf(window.window_start) === running ? window : null;
  }

  #make() {
    const bars = uPlot.paths.bars({ size: [0.84], align: 1 });
    const series = (name, strong) => ({ paths: bars, points: { show: false }, stroke: colour(name), width: strong ? 0 : 1, fill: strong ? colour(name) : colour(`${name}-soft`) });
    const limits = () => [limitKwh(this.#zone, "import"), negative(limitKwh(this.#zone, "export"))];
    this.#place.replaceChildren();
    return new uPlot(
      {
        width: this.#place.clientWidth,
        height: 220,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        tzDate: warsaw,
        scales: { x: { time: true }, y: { range: (plot, low, high) => rangeWith(low, high, limits()) } },
        axes: axes(decimalsOf),
        // The expected end first, so that what is there already is drawn over it.
        series: [{}, series("import", true), series("export", true), series("import", true), series("export", true), series("import", false), series("export", false)],
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
      [[], [], [], [], [], [], []],
      this.#place,
    );
  }

  #say(text) {
    setText(byId("balance-legend"), text);
  }

  // The window under the pointer, else the newest that ended; this is also what the chart says to who cannot see it.
  #legend() {
    if (this.#balance.failed) return this.#say(say("chart_failed"));
    if (this.#balance.loading) return this.#say(say("chart_loading"));
    const starts = this.#plot?.data[0] ?? [];
    const pointed = this.#plot?.cursor.idx;
    const newest = [...this.#rows.keys()].filter((start) => this.#rows.get(start).status !== "open").sort((a, b) => a - b).at(-1);
    const row = this.#rows.get(pointed === null || pointed === undefined ? newest : starts[pointed]);
    const text = row ? describe(row) : say("chart_none");
    this.#say([text, ...limitNotes(this.#zone)].join(" · "));
    setAttribute(this.#place, "aria-label", say("chart_label", { zone: this.#zone.name, newest: newest === undefined ? "" : describe(this.#rows.get(newest)) }));
  }
}

function negative(value) {
  return value === null ? null : -value;
}

// A limit is a power; held for a quarter of an hour it is this much energy.
function limitKwh(zone, way) {
  const limit = limitKw(zone, way);
  return limit === null ? null : limit / 4;
}

function limitNotes(zone) {
  return ["import", "export"]
    .filter((way) => limitKwh(zone, way) !== null)
    .map((way) => say(`chart_limit_${way}`, { kwh: formatNumber(limitKwh(zone, way), 0), kw: formatNumber(limitKwh(zone, way) * 4) }));
}

function describe(row) {
  const start = secondsOf(row.window_start);
  const time = `${formatDay(start)} ${formatClock(start)}–${formatClock(start + WINDOW_S)} ${zoneLabel(start)}`;
  const parts = [
    say("chart_row", { time, import: formatKilo(row.import_wh), export: formatKilo(row.export_wh), status: say(`status_${row.status}`) }),
    say("chart_quality", { measured: formatNumber(row.measured), estimated: formatNumber(row.estimated), missing: formatNumber(row.missing), expected: formatNumber(row.expected) }),
  ];
  if (row.excluded > 0) parts.push(say("excluded", { count: formatNumber(row.excluded) }));
  return parts.join(" · ");
}
