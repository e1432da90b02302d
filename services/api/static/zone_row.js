// One row of the tree: made once, then only its changed texts are touched.
import { make, makeLight, setAttribute, setClass, setLength, setText, showLight } from "./elements.js";
import { formatAge, formatHeard, formatKilo, formatShare, NOTHING } from "./figures.js";
import { say } from "./words.js";
import { isKnown } from "./zone_store.js";

export function makeRow(zone) {
  const row = make("tr");
  row.dataset.zone = zone.zone;
  row.setAttribute("role", "row");
  row.setAttribute("aria-level", String(zone.level));
  setLength(row, "--level", String(zone.level - 1));
  const cells = {
    name: make("th", "name"),
    state: make("td", "state"),
    import: make("td", "number import"),
    export: make("td", "number export"),
    share: make("td", "number share"),
    loading: make("td", "loading"),
    fresh: make("td", "number fresh"),
  };
  for (const cell of Object.values(cells)) cell.setAttribute("role", "gridcell");
  cells.name.setAttribute("role", "rowheader");

  const twist = make("span", zone.children.length > 0 ? "twist" : "twist leaf");
  twist.setAttribute("aria-hidden", "true");
  const label = make("span", "label", zone.name);
  label.title = zone.name === zone.zone ? zone.zone : `${zone.name} · ${zone.zone}`;
  cells.name.append(twist, label);
  cells.state.append(makeLight());
  const bar = make("span", "bar");
  bar.append(make("span", "fill"));
  cells.loading.append(bar, make("span", "value"));
  cells.fresh.append(make("span", "heard"), make("span", "age"));
  row.append(...Object.values(cells));
  row.cells_ = cells;
  return row;
}

// The greater of the two loadings, and which: a zone flows one way at a time.
export function loadingOf(live) {
  const given = [
    { way: "import", loading: live.loading_import },
    { way: "export", loading: live.loading_export },
  ].filter((one) => one.loading !== null && one.loading !== undefined);
  return given.sort((a, b) => b.loading - a.loading)[0] ?? null;
}

export function fillRow(row, zone) {
  const cells = row.cells_;
  const { live } = zone;
  const state = live?.state ?? "stale";
  setClass(row, "old", state === "stale");
  showLight(cells.state.firstChild, state, say(state));
  const known = isKnown(live); // else dashes, never zeros
  setText(cells.import, known ? formatKilo(live.import_w) : NOTHING);
  setText(cells.export, known ? formatKilo(live.export_w) : NOTHING);
  setText(cells.share, formatShare(known ? live.self_sufficiency : null));
  setClass(cells.import, "zero", !live?.import_w);
  setClass(cells.export, "zero", !live?.export_w);
  fillLoading(cells.loading, known ? live : null);
  setText(cells.fresh.firstChild, live ? formatHeard(live.heard_share) : NOTHING);
  setText(cells.fresh.lastChild, live?.newest_reading_at ? formatAge(live.newest_age_s) : NOTHING);
}

function fillLoading(cell, live) {
  const [bar, value] = cell.children;
  const found = live ? loadingOf(live) : null;
  setClass(bar, "absent", found === null);
  if (found === null) cell.removeAttribute("title");
  if (found === null) {
    setText(value, live ? say("no_limit") : NOTHING);
    setClass(value, "muted", true);
    return;
  }
  setClass(value, "muted", false);
  setAttribute(bar, "data-level", loadingLevel(found.loading));
  // The bar is the limit: over it, the bar is full and says so by colour and figure.
  setLength(bar.firstChild, "--fill", String(Math.min(found.loading, 1)));
  setText(value, formatShare(found.loading));
  setAttribute(cell, "title", say(`of_${found.way}_limit`, { share: formatShare(found.loading) }));
}

export function loadingLevel(loading) {
  if (loading > 1) return "over";
  return loading > 0.8 ? "near" : "fine";
}
