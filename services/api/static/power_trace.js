// The selected zone's net power over the last minutes, kW: import above the axis, export below. Energy is never on
// this axis. Its time is the data's own, so a replay that runs fast shows hours here.
import { byId, setAttribute, setHidden, setText } from "./elements.js";
import { formatClock, formatKilo } from "./figures.js";
import { axes, colour, decimalsOf, keepFitting, limitLines, line, rangeWith, split, warsaw } from "./chart_style.js";
import { say } from "./words.js";

/* global uPlot */

const SHORTEST_S = 60; // a trace that has just begun is not stretched over the whole width

export class PowerTrace {
  #place = byId("power-trace");
  #plot = null;
  #zone = null;

  constructor() {
    keepFitting(this.#place, () => this.#plot, () => this.remake());
  }

  draw(zone) {
    this.#zone = zone;
    const { trace } = zone;
    setHidden(this.#place, trace.length === 0);
    if (trace.length === 0) return setText(byId("trace-legend"), say("trace_none"));
    this.#plot ??= this.#make();
    this.#plot.setData([trace.map((point) => point.at), trace.map((point) => point.power_w / 1000)], false);
    const last = trace.at(-1).at;
    this.#plot.setScale("x", { min: Math.min(trace[0].at, last - SHORTEST_S), max: last });
    this.#legend();
    return undefined;
  }

  remake() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#zone) this.draw(this.#zone);
  }

  #make() {
    const power = { stroke: split("import", "export"), width: 2, fill: split("import-soft", "export-soft"), fillTo: 0, points: { show: false } };
    const limits = () => limitLines(this.#zone);
    this.#place.replaceChildren();
    return new uPlot(
      {
        width: this.#place.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        tzDate: warsaw,
        scales: { x: { time: true }, y: { range: (plot, low, high) => rangeWith(low, high, limits()) } },
        axes: axes(decimalsOf),
        series: [{}, power],
        hooks: {
          drawAxes: [(plot) => line(plot, 0, colour("muted"))],
          draw: [(plot) => limits().forEach((limit) => line(plot, limit, colour("red"), [6, 4]))],
          setCursor: [() => this.#legend()],
        },
      },
      [[], []],
      this.#place,
    );
  }

  #legend() {
    const { trace } = this.#zone;
    const pointed = this.#plot.cursor.idx;
    const point = trace[pointed ?? trace.length - 1] ?? trace.at(-1);
    const text = describe(point);
    setText(byId("trace-legend"), text);
    setAttribute(this.#place, "aria-label", say("trace_label", { zone: this.#zone.name, newest: describe(trace.at(-1)) }));
  }
}

function describe(point) {
  const way = point.power_w > 0 ? "import" : point.power_w < 0 ? "export" : "balanced";
  return say("trace_row", { time: formatClock(point.at, true), direction: say(way), power: formatKilo(Math.abs(point.power_w)) });
}
