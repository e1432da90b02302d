// How much the selected zone's assets can hold for 15 minutes, an hour, four hours: up and down, what of it is firm and
// what is not promised to anybody yet; and which assets count nothing because they are not heard.
import { byId, make, setHidden, setText } from "./elements.js";
import { formatNumber } from "./figures.js";
import { say } from "./words.js";

const ROWS = ["up", "up_firm", "up_available", "down", "down_firm", "down_available"];

export class EnvelopeTable {
  #table = byId("envelope");
  #head = byId("envelope-head");
  #body = byId("envelope-rows");
  #shape = "";

  // `signals` is a ZoneAnswer.
  draw(signals) {
    const { answer } = signals;
    const known = answer !== null && answer.assets.total > 0;
    setHidden(this.#table, !known);
    if (known) this.#fill(answer.envelope);
    this.#notes(signals);
  }

  #fill(envelope) {
    const shape = envelope.map((row) => row.minutes).join(" ");
    if (shape !== this.#shape) this.#make(envelope);
    this.#shape = shape;
    envelope.forEach(({ minutes }, number) => setText(this.#head.cells[number + 1], durationText(minutes)));
    ROWS.forEach((name, line) => {
      const { cells } = this.#body.rows[line];
      setText(cells[0], say(`envelope_${name}`));
      envelope.forEach((row, number) => setText(cells[number + 1], formatNumber(row[`${name}_kw`], 1)));
    });
  }

  #make(envelope) {
    const corner = make("th");
    corner.append(make("span", "hidden", say("envelope_title")));
    this.#head.replaceChildren(corner, ...envelope.map(() => columnHead()));
    this.#body.replaceChildren(
      ...ROWS.map((name) => {
        const row = make("tr", name.includes("_") ? "part" : "whole");
        const head = make("th");
        head.scope = "row";
        row.append(head, ...envelope.map(() => make("td", "number")));
        return row;
      }),
    );
  }

  #notes(signals) {
    const { answer } = signals;
    const notes = [];
    if (signals.failed) notes.push(say("envelope_failed"));
    else if (signals.loading) notes.push(say("envelope_loading"));
    if (answer !== null) notes.push(...notesOf(answer));
    setText(byId("envelope-note"), notes.join(" · "));
  }
}

function columnHead() {
  const head = make("th", "number");
  head.scope = "col";
  return head;
}

function durationText(minutes) {
  return minutes % 60 === 0 ? say("hours", { hours: formatNumber(minutes / 60) }) : say("minutes", { minutes: formatNumber(minutes) });
}

function notesOf({ assets, unclipped_by: unclipped }) {
  if (assets.total === 0) return [say("assets_none")];
  const notes = [say("assets_heard", { heard: formatNumber(assets.heard), total: formatNumber(assets.total) })];
  const silent = assets.total - assets.heard;
  if (silent > 0) notes.push(say("assets_silent", { names: listed(assets.silent, silent) }));
  if (unclipped.length > 0) notes.push(say("limits_unknown", { names: listed(unclipped, unclipped.length) }));
  return notes;
}

const NAMED = 5;

// The first few names, and how many more there are.
function listed(names, count) {
  const named = names.slice(0, NAMED);
  const text = named.join(", ");
  return count > named.length ? say("and_more", { names: text, count: formatNumber(count - named.length) }) : text;
}
