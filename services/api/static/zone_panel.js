// The selected zone: headline figures, reasons of its state, and the running window.
import { byId, make, makeLight, setClass, setHidden, setLength, setText, showLight } from "./elements.js";
import { formatAge, formatClock, formatHeard, formatKilo, formatMinutes, formatNumber, formatShare, NOTHING, secondsOf } from "./figures.js";
import { EnergyFlow } from "./energy_flow.js";
import { knows, say } from "./words.js";
import { isKnown } from "./zone_store.js";

const WINDOW_S = 900;
const INSTANT = /\d{4}-\d\d-\d\dT/;

export class ZonePanel {
  #store;
  #flow = new EnergyFlow(byId("flow"));
  #light = makeLight();
  #main = new Tiles(byId("main-figures"));
  #figures = new Tiles(byId("figures"));
  #ends = ["import", "export"].map((way) => ({ way, line: byId("window-figures").appendChild(make("li")) }));

  constructor(store) {
    this.#store = store;
    byId("panel-state").append(this.#light);
  }

  // `expected` says in words when a limit is expected to come near; null when it is not.
  draw(zone, expected) {
    const { live } = zone;
    const state = live?.state ?? "stale";
    setText(byId("panel-name"), zone.name);
    setText(byId("panel-path"), [kindWord(zone.kind), this.#store.path(zone).slice(0, -1).join(" › ")].filter(Boolean).join(" · "));
    showLight(this.#light, state, say(state));
    setClass(byId("panel"), "old", state === "stale");
    // A reason that names an instant is the forecast's: it is said in the page's own words, and local time.
    this.#reasons((live?.reasons ?? []).filter((reason) => expected === null || !INSTANT.test(reason)));
    setHidden(byId("expected"), expected === null);
    setText(byId("expected"), expected ?? "");
    this.#main.show(headlines(live));
    this.#figures.show(details(live));
    this.#flow.draw(heardOnly(live));
    this.#drawWindow(heardOnly(live)?.window ?? null);
  }

  #reasons(reasons) {
    const list = byId("reasons");
    setHidden(list, reasons.length === 0);
    const text = reasons.join("\n");
    if (list.dataset.shown === text) return;
    list.dataset.shown = text;
    list.replaceChildren(...reasons.map((reason) => make("li", "", reason)));
  }

  #drawWindow(window) {
    const start = secondsOf(window?.window_start);
    setHidden(byId("window-figures"), start === null);
    setText(byId("window-span"), start === null ? "" : `${formatClock(start)}–${formatClock(start + WINDOW_S)}`);
    const elapsed = start === null ? 0 : Math.min(window.elapsed_s, WINDOW_S);
    setLength(byId("window-fill"), "--fill", String(elapsed / WINDOW_S));
    setText(byId("window-elapsed"), start === null ? say("window_none") : say("elapsed", { elapsed: formatMinutes(elapsed) }));
    if (start === null) return;
    for (const { way, line } of this.#ends) {
      setText(line, say(`window_${way}`, { sofar: formatKilo(window[`${way}_wh`]), expected: formatKilo(window[`expected_${way}_wh`]) }));
    }
  }
}

function kindWord(kind) {
  return knows(`kind_${kind}`) ? say(`kind_${kind}`) : kind;
}

// What is not known is shown as dashes, never as zeros.
function heardOnly(live) {
  return isKnown(live) ? live : null;
}

function headlines(live) {
  const known = heardOnly(live);
  const way = known && known.export_w > 0 ? "export" : "import";
  return [
    { key: way, label: say(`${way}_now`), value: formatKilo(known?.[`${way}_w`]), unit: "kW", note: limitNote(known, way) },
    { key: "share", label: say("self_sufficiency"), value: formatShare(known?.self_sufficiency, known?.self_sufficiency < 1 ? 1 : 0) },
  ];
}

function details(live) {
  const known = heardOnly(live);
  const stored = known && known.discharged_w > known.charged_w ? "discharged" : "charged";
  const power = (name) => formatKilo(known?.[`${name}_w`]);
  const at = secondsOf(live?.newest_reading_at);
  return [
    { key: "withdrawn", label: say("withdrawn"), value: power("withdrawn"), unit: "kW" },
    { key: "injected", label: say("injected"), value: power("injected"), unit: "kW" },
    { key: stored, label: say(stored), value: power(stored), unit: "kW", note: storedNote(known) },
    {
      key: "heard",
      label: say("heard"),
      value: live ? formatHeard(live.heard_share) : NOTHING,
      note: live ? say("heard_of", { heard: formatNumber(live.heard), meters: formatNumber(live.meters) }) : "",
    },
    {
      key: "age",
      label: say("newest_age"),
      value: at === null ? NOTHING : formatAge(live.newest_age_s),
      note: at === null ? say("no_reading") : say("read_at", { time: formatClock(at, true) }),
    },
  ];
}

function limitNote(live, way) {
  if (!live) return "";
  const loading = live?.[`loading_${way}`];
  if (loading === null || loading === undefined) return say("no_limit");
  const limit = say("limit", { limit: formatNumber(live[`${way}_limit_kw`]) });
  return `${say(`of_${way}_limit`, { share: formatShare(loading) })} · ${limit}`;
}

function storedNote(live) {
  return live?.soc_wh === null || live?.soc_wh === undefined ? "" : `${say("soc")} ${formatKilo(live.soc_wh)} kWh`;
}

// A list of figures whose elements are kept as long as the same figures are shown.
class Tiles {
  #list;
  #tiles = new Map();
  #shape = "";

  constructor(list) {
    this.#list = list;
  }

  show(tiles) {
    const shape = tiles.map((tile) => tile.key).join(" ");
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#tiles = new Map(tiles.map((tile) => [tile.key, makeTile(tile)]));
      this.#list.replaceChildren(...[...this.#tiles.values()].map((tile) => tile.element));
    }
    for (const { key, label, value, unit = "", note = "" } of tiles) {
      const tile = this.#tiles.get(key);
      setText(tile.label, label);
      setText(tile.value, value);
      setText(tile.unit, unit);
      setText(tile.note, note);
    }
  }
}

function makeTile({ key }) {
  const element = make("div", `tile ${key}`);
  const tile = { element, label: make("dt"), value: make("span", "value"), unit: make("span", "unit"), note: make("small", "note") };
  const figure = make("dd");
  figure.append(tile.value, " ", tile.unit, tile.note);
  element.append(tile.label, figure);
  return tile;
}
