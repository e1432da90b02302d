// The notice of a blown fuse: ingest has stopped reading the JSON topic, and a person has to look.
import { byId, setHidden, setText } from "./elements.js";
import { formatMoment } from "./figures.js";
import { askJson } from "./server.js";
import { say } from "./words.js";

const EVERY_MS = 5000;

export class FuseNotice {
  #fuse = null;

  start() {
    this.#ask();
    setInterval(() => document.hidden || this.#ask(), EVERY_MS);
  }

  async #ask() {
    try {
      this.#fuse = (await askJson("v1/status")).fuse;
    } catch {
      // The status line says that nothing answers; a fuse that was blown still is, as far as the page knows.
    }
    this.draw();
  }

  draw() {
    const fuse = this.#fuse;
    setHidden(byId("fuse"), !fuse);
    if (!fuse) return;
    setText(byId("fuse-text"), say("fuse_text", { topic: fuse.topic, time: formatMoment(Date.parse(fuse.blown_at) / 1000) }));
    setText(byId("fuse-reason"), fuse.reason);
  }
}
