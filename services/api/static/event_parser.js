// Server-sent events from a byte stream. EventSource cannot send an Authorization header, so the page reads the
// stream with fetch and needs this much of the format (HTML standard, 9.2.6).
export class EventParser {
  #decoder = new TextDecoder();
  #rest = "";
  #event = "";
  #data = [];

  // The events completed by these bytes: [{event, data}]. Comments (pings) complete none.
  push(bytes) {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    // A CR at the very end may be half of a CRLF: it waits for the next bytes.
    const complete = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    const lines = complete.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + this.#rest.slice(complete.length);
    const events = [];
    for (const line of lines) {
      if (line === "") this.#finish(events);
      else this.#take(line);
    }
    return events;
  }

  #take(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
  }

  #finish(events) {
    if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
    this.#event = "";
    this.#data = [];
  }
}
