// One multiplexed event stream per tab: opened, watched, and opened again after a growing pause when it ends.
import { EventParser } from "./event_parser.js";
import { ask, KeyNeeded } from "./server.js";

const PAUSES_S = [1, 2, 4, 8, 10];
const SILENT_AFTER_S = 5; // live figures come at least once a second: this is well past two missed ones
const DEAD_AFTER_S = 20; // a stream silent for so long is cut and opened anew: a lost network sends no goodbye

export class LiveStream {
  // `status` is "connecting", "live", "waiting" (for the next try) or "key".
  status = "connecting";
  #tries = 0;
  #newsAt = performance.now();
  #nextTryAt = 0;
  #abort = null;
  #timer = 0;

  constructor(path, onEvent, onChange) {
    this.path = path;
    this.onEvent = onEvent;
    this.onChange = onChange;
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.retry());
  }

  get quietSeconds() {
    return Math.floor((performance.now() - this.#newsAt) / 1000);
  }

  // Old figures must not look like new ones.
  get silent() {
    return this.status !== "live" || this.quietSeconds >= SILENT_AFTER_S;
  }

  get nextTrySeconds() {
    return Math.max(0, Math.ceil((this.#nextTryAt - performance.now()) / 1000));
  }

  retry() {
    if (this.status === "waiting" || this.status === "key") this.open();
  }

  async open() {
    clearTimeout(this.#timer);
    this.#setStatus("connecting");
    const abort = new AbortController();
    this.#abort = abort;
    this.#newsAt = performance.now();
    try {
      const answer = await ask(this.path, { headers: { Accept: "text/event-stream" }, signal: abort.signal });
      await this.#read(answer.body.getReader());
      this.#pause();
    } catch (problem) {
      if (problem instanceof KeyNeeded) this.#setStatus("key");
      else this.#pause();
    }
  }

  async #read(reader) {
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#newsAt = performance.now();
      this.#tries = 0;
      this.#setStatus("live");
      for (const { event, data } of parser.push(value)) this.onEvent(event, JSON.parse(data));
    }
  }

  #pause() {
    const pause_s = PAUSES_S[Math.min(this.#tries, PAUSES_S.length - 1)];
    this.#tries += 1;
    this.#nextTryAt = performance.now() + pause_s * 1000;
    this.#timer = setTimeout(() => this.open(), pause_s * 1000);
    this.#setStatus("waiting");
  }

  #watch() {
    const open = this.status === "live" || this.status === "connecting";
    if (open && this.quietSeconds >= DEAD_AFTER_S) this.#abort?.abort();
    this.onChange();
  }

  #setStatus(status) {
    if (this.status === status) return;
    this.status = status;
    this.onChange();
  }
}
