// What the page knows: the tree as the API gives it, the newest live view of each zone, and its recent power.
import { secondsOf } from "./figures.js";

const TRACE_KEPT_S = 300; // of wall time: the "last minutes" of the power trace

// A zone of which no meter is heard has no power that is known.
export function isKnown(live) {
  return Boolean(live && live.heard > 0 && live.withdrawn_w !== null);
}

// A zone's limit for one way ("import" or "export"); null where it has none.
export function limitKw(zone, way) {
  return zone[`${way}_limit_kw`] ?? zone.live?.[`${way}_limit_kw`] ?? null;
}

export class ZoneStore {
  zones = new Map(); // zone → {zone, name, kind, parent, children, level, live, trace}
  order = []; // parents before children, siblings as in the topology
  roots = [];
  at = null; // the data's own now, seconds; null before the first reading
  dirty = new Set(); // zones whose live view changed since they were drawn

  // Takes the rows of /v1/zones; true when the tree differs from the one before.
  setTree(rows) {
    const shape = JSON.stringify(rows);
    if (shape === this.#shape) return false;
    this.#shape = shape;
    const before = this.zones;
    this.zones = new Map();
    for (const row of rows) {
      const known = before.get(row.zone);
      this.zones.set(row.zone, { ...row, name: row.name || row.zone, children: [], level: 1, live: known?.live ?? null, trace: known?.trace ?? [] });
    }
    this.roots = [];
    for (const zone of this.zones.values()) {
      const parent = this.zones.get(zone.parent);
      if (parent) parent.children.push(zone);
      else this.roots.push(zone);
    }
    this.order = [];
    for (const root of this.roots) this.#walk(root, 1);
    this.dirty = new Set(this.zones.keys());
    return true;
  }

  #shape = "";

  #walk(zone, level) {
    zone.level = level;
    this.order.push(zone);
    for (const child of zone.children) this.#walk(child, level + 1);
  }

  // Takes live views; true when one is of a zone that the tree does not have (the topology changed).
  takeLive(views, at) {
    let unknown = false;
    const seconds = secondsOf(at);
    if (seconds !== null) this.at = seconds;
    for (const view of views) {
      const zone = this.zones.get(view.zone);
      if (!zone) {
        unknown = true;
        continue;
      }
      zone.live = view;
      zone.liveAt = performance.now();
      this.#trace(zone);
      this.dirty.add(view.zone);
    }
    return unknown;
  }

  // One point an instant of the data's own time; a clock that went back is another replay and starts afresh.
  #trace(zone) {
    const at = secondsOf(zone.live.at);
    if (at === null || !isKnown(zone.live)) return;
    const { trace } = zone;
    const last = trace.at(-1);
    if (last && at < last.at) trace.length = 0;
    else if (last && at === last.at) trace.pop();
    const seen = performance.now();
    trace.push({ at, power_w: zone.live.import_w - zone.live.export_w, seen });
    while (seen - trace[0].seen > TRACE_KEPT_S * 1000) trace.shift();
  }

  path(zone) {
    const names = [];
    for (let at = zone; at; at = this.zones.get(at.parent)) names.unshift(at.name);
    return names;
  }

  counts() {
    const counts = { green: 0, amber: 0, red: 0, stale: 0 };
    for (const zone of this.zones.values()) counts[zone.live?.state ?? "stale"] += 1;
    return counts;
  }

  // Whether it is known that no reading ever arrived anywhere; also when there is no zone at all.
  get empty() {
    return this.#shape !== "" && this.order.every((zone) => zone.live && !zone.live.newest_reading_at);
  }
}
