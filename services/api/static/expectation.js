// When a limit is expected to come near, in words: "Above 80% expected from 11:15: export 135.2 kW (P10)".
import { formatClock, formatNumber, secondsOf } from "./figures.js";
import { say } from "./words.js";
import { limitKw } from "./zone_store.js";

const WARNING = ["amber", "red"];
const NEAR = 0.8; // of a limit: what makes a zone amber (design section 4)

// Null when nothing is expected, and when it is there already. `rowAt` gives the forecast's row of a window, or null.
// The signals are asked for now and then, the live view tells the state at once: with green there is nothing to expect.
export function expectationText(zone, signals, rowAt) {
  const start = secondsOf(signals?.expected_at);
  if (start === null || !WARNING.includes(zone.live?.state) || isNear(zone.live)) return null;
  const time = formatClock(start);
  const flow = nearLimit(zone, rowAt(start));
  return flow === null ? say("expected_near", { time }) : say(`expected_${flow.way}`, { time, kw: formatNumber(flow.kw, 1) });
}

function isNear(live) {
  return live?.loading_import > NEAR || live?.loading_export > NEAR;
}

// The forecast counts by the end of its band that is nearer to the limit: P90 for import, P10 for export.
function nearLimit(zone, row) {
  if (row === null) return null;
  const flows = [
    { way: "import", kw: row.p90_kw, limit: limitKw(zone, "import") },
    { way: "export", kw: -row.p10_kw, limit: limitKw(zone, "export") },
  ];
  return flows.find(({ kw, limit }) => limit !== null && kw > NEAR * limit) ?? null;
}
