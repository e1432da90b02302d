// The tree of zones as a tree grid (WAI-ARIA practices): one row in the tab order, arrows move, the URL's hash says
// which zone is selected, so that a link leads to it.
import { byId, make, setAttribute, setClass, setHidden, setText } from "./elements.js";
import { fillRow, makeRow } from "./zone_row.js";
import { say } from "./words.js";

const OPEN_LEVELS = 2; // cluster and GPZ are open at first: feeders are seen, their stations on demand

export class ZoneTree {
  #store;
  #onSelect;
  #rows = new Map(); // zone → row element
  #open = new Set();
  #seen = new Set(); // zones already placed once: their being closed was a choice
  #filter = "";
  selected = null;

  constructor(store, onSelect) {
    this.#store = store;
    this.#onSelect = onSelect;
    byId("rows").addEventListener("click", (event) => this.#click(event));
    byId("rows").addEventListener("keydown", (event) => this.#key(event));
    byId("expand").addEventListener("click", () => this.#openAll(true));
    byId("collapse").addEventListener("click", () => this.#openAll(false));
    byId("find").addEventListener("input", (event) => {
      this.#filter = event.target.value.trim().toLocaleLowerCase();
      this.#place();
    });
  }

  rebuild() {
    const focused = document.activeElement?.closest("tr")?.dataset.zone;
    this.#rows.clear();
    for (const zone of this.#store.order) {
      if (!this.#seen.has(zone.zone) && zone.level <= OPEN_LEVELS) this.#open.add(zone.zone);
      this.#seen.add(zone.zone);
      this.#rows.set(zone.zone, makeRow(zone));
    }
    byId("rows").replaceChildren(...this.#rows.values());
    this.#place();
    if (focused) this.#rows.get(focused)?.focus();
  }

  // Selects a zone and opens the way to it.
  select(name) {
    const zone = this.#store.zones.get(name);
    if (!zone) return;
    this.selected = name;
    for (let at = this.#store.zones.get(zone.parent); at; at = this.#store.zones.get(at.parent)) this.#open.add(at.zone);
    this.#place();
    this.#onSelect(zone);
  }

  // Draws the rows that changed and can be seen.
  draw() {
    for (const name of this.#store.dirty) {
      const row = this.#rows.get(name);
      if (row && !row.hidden) {
        fillRow(row, this.#store.zones.get(name));
        this.#store.dirty.delete(name);
      }
    }
  }

  redrawAll() {
    for (const name of this.#rows.keys()) this.#store.dirty.add(name);
    this.#place();
    this.draw();
    byId("find").placeholder = say("find");
  }

  #matches(zone) {
    return zone.name.toLocaleLowerCase().includes(this.#filter) || zone.zone.toLocaleLowerCase().includes(this.#filter);
  }

  // Which rows show, and what they say of themselves to a reader that cannot see them.
  #place() {
    const shown = new Set();
    for (const zone of this.#store.order) {
      const parent = this.#store.zones.get(zone.parent);
      const visible = this.#filter ? this.#matches(zone) : !parent || (shown.has(parent) && this.#open.has(parent.zone));
      if (visible) shown.add(zone);
      const row = this.#rows.get(zone.zone);
      setHidden(row, !visible);
      const selected = zone.zone === this.selected;
      setAttribute(row, "aria-selected", String(selected));
      setAttribute(row, "tabindex", "-1");
      if (zone.children.length > 0) {
        const open = this.#open.has(zone.zone);
        setAttribute(row, "aria-expanded", String(open));
        setAttribute(row.querySelector(".twist"), "title", say(open ? "close" : "open", { zone: zone.name }));
      }
    }
    const entry = this.#rows.get(this.selected);
    const stop = entry && !entry.hidden ? entry : this.#visible()[0];
    stop?.setAttribute("tabindex", "0");
    setHidden(byId("none-found"), shown.size > 0 || this.#store.order.length === 0);
    setText(byId("none-found"), say("none_found"));
    setClass(byId("tree"), "found", this.#filter !== "");
    this.draw();
  }

  #visible() {
    return [...this.#rows.values()].filter((row) => !row.hidden);
  }

  #setOpen(name, open) {
    if (open) this.#open.add(name);
    else this.#open.delete(name);
    this.#place();
  }

  #openAll(open) {
    for (const zone of this.#store.order) {
      if (open || zone.level > 1) this.#setOpenQuietly(zone.zone, open);
      else this.#open.add(zone.zone);
    }
    this.#place();
  }

  #setOpenQuietly(name, open) {
    if (open) this.#open.add(name);
    else this.#open.delete(name);
  }

  #click(event) {
    const row = event.target.closest("tr");
    if (!row) return;
    const name = row.dataset.zone;
    if (event.target.closest(".twist")) this.#setOpen(name, !this.#open.has(name));
    else {
      go(name);
      // On a narrow screen the panel stands above the tree: whoever picks a zone wants to see it.
      if (byId("panel").getBoundingClientRect().bottom < 0) byId("panel").scrollIntoView();
    }
    row.focus({ preventScroll: true });
  }

  #key(event) {
    const row = event.target.closest("tr");
    const zone = row && this.#store.zones.get(row.dataset.zone);
    if (!zone || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = this.#visible();
    const at = rows.indexOf(row);
    const parent = this.#rows.get(zone.parent);
    const open = this.#open.has(zone.zone);
    const moves = {
      ArrowDown: () => rows[at + 1]?.focus(),
      ArrowUp: () => rows[at - 1]?.focus(),
      Home: () => rows[0].focus(),
      End: () => rows.at(-1).focus(),
      PageDown: () => rows[Math.min(at + 10, rows.length - 1)].focus(),
      PageUp: () => rows[Math.max(at - 10, 0)].focus(),
      ArrowRight: () => (zone.children.length > 0 && !open ? this.#setOpen(zone.zone, true) : rows[at + 1]?.focus()),
      ArrowLeft: () => (zone.children.length > 0 && open ? this.#setOpen(zone.zone, false) : parent?.focus()),
      Enter: () => go(zone.zone),
      " ": () => go(zone.zone),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }
}

export function go(name) {
  location.hash = `zone/${encodeURIComponent(name)}`;
}

export function zoneOfHash() {
  const found = location.hash.match(/^#zone\/(.+)$/);
  try {
    return found ? decodeURIComponent(found[1]) : null;
  } catch {
    return null; // a mangled link leads to the root
  }
}
