// The line that says whether what is seen can be believed, and whose time it is.
import { byId, make, makeLight, setClass, setHidden, setText } from "./elements.js";
import { formatAge, formatHeard, formatMoment, formatNumber } from "./figures.js";
import { say } from "./words.js";

const STATES = ["green", "amber", "red", "stale"];
const REPLAYED_S = 120; // data's time further than this from the wall clock's is another time, and is called so

export class StatusLine {
  #store;
  #stream;
  #lights = new Map();

  constructor(store, stream) {
    this.#store = store;
    this.#stream = stream;
    for (const state of STATES) {
      const light = makeLight();
      const count = make("b");
      light.prepend(count);
      this.#lights.set(state, { light, count });
      byId("state-counts").append(light);
    }
    byId("retry").addEventListener("click", () => stream.retry());
  }

  draw() {
    const stream = this.#stream;
    const root = this.#store.roots[0]?.live ?? null;
    const quiet = stream.status === "live" && stream.silent;
    const old = stream.silent && this.#store.at !== null;
    setClass(document.body, "out-of-touch", old);
    setText(byId("link"), linkText(stream, root, this.#store));
    byId("status").dataset.link = quiet ? "silent" : stream.status === "live" && root?.state === "stale" && !this.#store.empty ? "stale" : stream.status;
    setHidden(byId("retry"), stream.status !== "waiting");
    this.#drawAge(root);
    this.#drawCounts();
    const hasMeters = root && root.meters > 0;
    setText(byId("meters-heard"), hasMeters ? say("meters_heard", { heard: formatNumber(root.heard), meters: formatNumber(root.meters), share: formatHeard(root.heard_share) }) : say("no_meters"));
    this.#drawTime();
  }

  #drawAge(root) {
    const stream = this.#stream;
    const text = stream.silent && this.#store.at !== null
      ? say("no_news_since", { age: formatAge(stream.quietSeconds) })
      : root?.newest_reading_at ? say("last_reading", { age: formatAge(root.newest_age_s) }) : say("no_reading");
    setText(byId("reading-age"), text);
  }

  #drawCounts() {
    const counts = this.#store.counts();
    for (const [state, { light, count }] of this.#lights) {
      setText(count, formatNumber(counts[state]));
      showCounted(light, state);
      setClass(light, "none", counts[state] === 0);
    }
    const title = counts.red > 0 ? `(${counts.red} ${say("red").toLocaleLowerCase()}) Bilans` : "Bilans";
    if (document.title !== title) document.title = title;
  }

  #drawTime() {
    const { at } = this.#store;
    const wall = Date.now() / 1000;
    const replayed = at !== null && Math.abs(wall - at) > REPLAYED_S;
    setClass(byId("data-time"), "replayed", replayed);
    setText(byId("data-time"), say(replayed ? "replayed" : "wall_time", { time: formatMoment(replayed ? at : wall) }));
  }
}

function linkText(stream, root, store) {
  if (stream.status === "waiting") return say("link_waiting", { seconds: stream.nextTrySeconds });
  if (stream.status === "key") return say("link_key");
  if (stream.status === "connecting") return say("link_connecting");
  if (stream.silent) return say("link_silent", { seconds: stream.quietSeconds });
  if (root?.state === "stale" && !store.empty) return say("data_stale");
  return say("link_live");
}

// The count stands before icon and word.
function showCounted(light, state) {
  if (light.dataset.state !== state) {
    light.dataset.state = state;
    light.querySelector("use").setAttribute("href", `#icon-${state}`);
  }
  setText(light.lastChild, say(state).toLocaleLowerCase());
}
