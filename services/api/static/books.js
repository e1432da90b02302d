// The books: every delivery is in exactly one of them (rule 10), so the line is a sum that a reader can check.
import { byId, setClass, setText } from "./elements.js";
import { formatNumber } from "./figures.js";
import { askJson } from "./server.js";
import { say } from "./words.js";

const EVERY_MS = 2000;

export class Books {
  #books = null;

  start() {
    this.#ask();
    setInterval(() => document.hidden || this.#ask(), EVERY_MS);
  }

  async #ask() {
    try {
      this.#books = await askJson("v1/audit");
    } catch {
      this.#books = null; // The status line says why; old books would be untrue.
    }
    this.draw();
  }

  draw() {
    const line = byId("books");
    const books = this.#books;
    setClass(line, "differ", Boolean(books?.difference));
    if (!books) return setText(line, say("books_unknown"));
    const rejected = Object.entries(books.rejected).filter(([, count]) => count > 0);
    const figures = { rejected: formatNumber(rejected.reduce((sum, [, count]) => sum + count, 0)) };
    for (const name of ["received", "applied", "unchanged", "pending"]) figures[name] = formatNumber(books[name]);
    const parts = [say("books", figures)];
    if (rejected.length > 0) parts[0] += ` (${rejected.map(([reason, count]) => `${reason} ${formatNumber(count)}`).join(", ")})`;
    if (books.lag > 0) parts.push(say("books_lag", { lag: formatNumber(books.lag) }));
    if (books.recomputing > 0) parts.push(say("books_recomputing", { windows: formatNumber(books.recomputing) }));
    if (books.difference) parts.push(say("books_differ", { difference: formatNumber(books.difference) }));
    return setText(line, parts.join(" · "));
  }
}
