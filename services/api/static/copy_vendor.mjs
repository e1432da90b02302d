// Writes vendor/ from node_modules (`npm ci && npm run vendor`). The files are committed, so the page needs no npm;
// this shows where they come from and refuses a file that is not the one that was looked at.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const SOURCES = {
  "uPlot.iife.min.js": "node_modules/uplot/dist/uPlot.iife.min.js",
  "uPlot.min.css": "node_modules/uplot/dist/uPlot.min.css",
  "LICENSE.uPlot.txt": "node_modules/uplot/LICENSE",
};

const expected = JSON.parse(readFileSync("vendor.sha256.json", "utf8"));
mkdirSync("vendor", { recursive: true });
for (const [name, source] of Object.entries(SOURCES)) {
  const content = readFileSync(source);
  const digest = createHash("sha256").update(content).digest("hex");
  if (digest !== expected[name]) {
    console.error(`${source} has SHA-256 ${digest}, but vendor.sha256.json names ${expected[name]}.`);
    process.exit(1);
  }
  writeFileSync(`vendor/${name}`, content);
  console.log(`vendor/${name}`);
}
