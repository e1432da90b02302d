// What the charts share: colours from the style sheet (so dark and light follow the system), Warsaw time on the
// axis, figures in the page's own format, and a limit line that is drawn only where it can be seen.
import { formatClock, formatDay, formatNumber } from "./figures.js";
import { limitKw } from "./zone_store.js";

/* global uPlot */

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function axes(decimalsOf) {
  const common = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 }, font: "12px system-ui, sans-serif" };
  return [
    { ...common, space: 64, size: 32, values: (plot, splits) => splits.map(timeLabel) },
    { ...common, size: 62, values: (plot, splits) => splits.map((value) => formatNumber(value, decimalsOf(splits))) },
  ];
}

// Midnight names the day; every other tick the hour.
function timeLabel(seconds) {
  const clock = formatClock(seconds);
  return clock === "00:00" ? formatDay(seconds) : clock;
}

export function decimalsOf(splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 1;
  if (step >= 1) return Number.isInteger(step) ? 0 : 1;
  return step >= 0.1 ? 1 : 2;
}

export function warsaw(seconds) {
  return uPlot.tzDate(new Date(seconds * 1000), "Europe/Warsaw");
}

// The range of the figures with the axis in it; a limit joins when it is near, else it would flatten everything.
export function rangeWith(low, high, limits) {
  let [bottom, top] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  const reach = Math.max(top, -bottom);
  for (const limit of limits) {
    if (limit !== null && Math.abs(limit) <= 2 * reach) {
      top = Math.max(top, limit);
      bottom = Math.min(bottom, limit);
    }
  }
  const margin = (top - bottom || 1) * 0.08;
  return [bottom < 0 ? bottom - margin : 0, top > 0 ? top + margin : bottom < 0 ? 0 : 1];
}

export function line(plot, value, stroke, dash = []) {
  if (value === null || value < plot.scales.y.min || value > plot.scales.y.max) return;
  const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
  stretch(plot, stroke, dash, [plot.bbox.left, y], [plot.bbox.left + plot.bbox.width, y]);
}

export function upright(plot, value, stroke, dash = []) {
  if (value === null || value < plot.scales.x.min || value > plot.scales.x.max) return;
  const x = Math.round(plot.valToPos(value, "x", true)) + 0.5;
  stretch(plot, stroke, dash, [x, plot.bbox.top], [x, plot.bbox.top + plot.bbox.height]);
}

function stretch(plot, stroke, dash, from, to) {
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
  ctx.restore();
}

// A zone's limits on an axis of kW: import above, export below; null where there is none.
export function limitLines(zone) {
  const [up, down] = ["import", "export"].map((way) => limitKw(zone, way));
  return [up, down === null ? null : -down];
}

// One line in two colours: what lies above the axis is import, what lies below is export.
export function split(above, below) {
  return (plot) => {
    const { top, height } = plot.bbox;
    const zero = Math.min(Math.max((plot.valToPos(0, "y", true) - top) / height, 0), 1);
    const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
    gradient.addColorStop(0, colour(above));
    gradient.addColorStop(zero, colour(above));
    gradient.addColorStop(zero, colour(below));
    gradient.addColorStop(1, colour(below));
    return gradient;
  };
}

// Keeps a chart as wide as its place, and makes it anew when the system turns dark or light.
export function keepFitting(place, getPlot, remake) {
  new ResizeObserver(() => {
    const plot = getPlot();
    if (plot && place.clientWidth > 0 && plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: plot.height });
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", remake);
}
