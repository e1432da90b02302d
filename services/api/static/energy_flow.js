// Two bars of one length: what comes in (import, production, discharging) is what goes out (consumption, charging,
// export). They are equal by rule 7 of the balance; drawn to one scale, a difference would be seen.
import { make, setHidden, setLength, setText } from "./elements.js";
import { formatKilo } from "./figures.js";
import { say } from "./words.js";

const SIDES = {
  flow_in: [
    ["import", "import_w"],
    ["injected", "injected_w"],
    ["discharged", "discharged_w"],
  ],
  flow_out: [
    ["withdrawn", "withdrawn_w"],
    ["charged", "charged_w"],
    ["export", "export_w"],
  ],
};

export class EnergyFlow {
  #sides = [];
  #none = make("p", "muted");

  constructor(place) {
    for (const [side, parts] of Object.entries(SIDES)) {
      const line = make("div", "side");
      const title = make("span", "side-title");
      const bar = make("div", "flow-bar");
      const legend = make("ul", "flow-legend");
      const segments = parts.map(([word, figure]) => {
        const segment = make("span", `segment ${word}`);
        const entry = make("li");
        const text = make("span");
        entry.append(make("span", `key ${word}`), text);
        bar.append(segment);
        legend.append(entry);
        return { word, figure, segment, entry, text };
      });
      bar.setAttribute("aria-hidden", "true");
      line.append(title, bar, legend);
      place.append(line);
      this.#sides.push({ side, line, title, segments });
    }
    place.append(this.#none);
  }

  draw(live) {
    const totals = this.#sides.map(({ segments }) => segments.reduce((sum, part) => sum + (live?.[part.figure] ?? 0), 0));
    const longest = Math.max(...totals);
    setHidden(this.#none, longest > 0);
    setText(this.#none, say(live ? "flow_none" : "flow_unknown"));
    for (const { side, line, title, segments } of this.#sides) {
      setHidden(line, longest === 0);
      if (longest === 0) continue;
      setText(title, say(side));
      for (const { word, figure, segment, entry, text } of segments) {
        const power_w = live[figure];
        setLength(segment, "--part", String(power_w / longest));
        setHidden(entry, power_w === 0);
        setText(text, `${say(word)} ${formatKilo(power_w)} kW`);
      }
    }
  }
}
