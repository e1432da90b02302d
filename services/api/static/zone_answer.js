// One answer of the API about the selected zone. It is asked for sparingly: when something says that it may have
// changed, and once a minute; again when it failed; not while nobody looks. An answer of a zone left behind is dropped.
const RETRY_MS = 5000;
const AT_LATEST_MS = 60_000;

export class ZoneAnswer {
  zone = null; // its name
  answer = null; // the newest about this zone; it stays when the next one fails
  failed = false;
  #ask;
  #everyMs;
  #onChange;
  #onProblem;
  #timer = 0;
  #askedAt = -Infinity;
  #request = 0;

  // `ask(name)` gives the answer; it is called once in `everyMs` at most.
  constructor(ask, everyMs, onChange, onProblem) {
    this.#ask = ask;
    this.#everyMs = everyMs;
    this.#onChange = onChange;
    this.#onProblem = onProblem;
    setInterval(() => this.refresh(), AT_LATEST_MS);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  get loading() {
    return this.answer === null && !this.failed;
  }

  show(name) {
    if (this.zone !== name) {
      this.answer = null;
      this.failed = false;
    }
    this.zone = name;
    this.#request += 1; // what is still on its way is not waited for
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#askedAt = -Infinity;
    this.refresh();
  }

  refresh() {
    if (this.#timer || this.zone === null || document.hidden) return;
    this.#askAfter(Math.max(0, this.#askedAt + this.#everyMs - performance.now()));
  }

  #askAfter(wait_ms) {
    this.#timer = setTimeout(() => this.#fetch(), wait_ms);
  }

  async #fetch() {
    const request = ++this.#request;
    this.#askedAt = performance.now();
    let problem = null;
    let answer = null;
    try {
      answer = await this.#ask(this.zone);
    } catch (found) {
      problem = found;
    }
    if (request !== this.#request) return;
    this.#timer = 0;
    this.failed = problem !== null;
    if (problem === null) this.answer = answer;
    else {
      this.#onProblem(problem);
      this.#askAfter(RETRY_MS);
    }
    this.#onChange();
  }
}
