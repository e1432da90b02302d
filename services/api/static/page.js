// The page's beginning: joins stream, store and views, and draws at most five times a second.
import { BalanceChart } from "./balance_chart.js";
import { Books } from "./books.js";
import { byId, setHidden } from "./elements.js";
import { EnvelopeTable } from "./envelope_table.js";
import { expectationText } from "./expectation.js";
import { ForecastChart } from "./forecast_chart.js";
import { FuseNotice } from "./fuse_notice.js";
import { askForKey, onKeyGiven } from "./key_dialog.js";
import { LiveStream } from "./live_stream.js";
import { OrdersTable } from "./orders_table.js";
import { PowerTrace } from "./power_trace.js";
import { askJson, askRows, KeyNeeded } from "./server.js";
import { StatusLine } from "./status_line.js";
import { fillWords, onLanguage, setLanguage } from "./words.js";
import { ZoneAnswer } from "./zone_answer.js";
import { ZoneOrders } from "./zone_orders.js";
import { ZonePanel } from "./zone_panel.js";
import { ZoneStore } from "./zone_store.js";
import { ZoneTree, zoneOfHash } from "./zone_tree.js";

const FRAME_MS = 200;
const SIGNALS_EVERY_MS = 3000;
const ORDERS_EVERY_MS = 5000;
const TREE_EVERY_MS = 2000; // while the topology is empty or lacks a zone that sends

const store = new ZoneStore();
const stream = new LiveStream("v1/live/stream", onEvent, draw);
const statusLine = new StatusLine(store, stream);
const panel = new ZonePanel(store);
const chart = new BalanceChart(onProblem);
const forecast = new ForecastChart(onProblem);
const trace = new PowerTrace();
const envelope = new EnvelopeTable();
const ordersTable = new OrdersTable();
const orderReader = new ZoneOrders(() => store.at);
const signals = new ZoneAnswer((zone) => askJson(`v1/zones/${encodeURIComponent(zone)}/signals`), SIGNALS_EVERY_MS, draw, onProblem);
const orders = new ZoneAnswer((zone) => orderReader.ask(zone), ORDERS_EVERY_MS, draw, onProblem);
const followers = [chart, forecast, signals, orders]; // of the selected zone
const books = new Books();
const fuse = new FuseNotice();
const tree = new ZoneTree(store, (zone) => {
  chart.show(zone);
  forecast.show(zone);
  signals.show(zone.zone);
  orders.show(zone.zone);
  draw();
});

let frame = 0;
let treeAskedAt = -Infinity;

// --- what arrives ---

function onEvent(event, data) {
  if (event === "hello") {
    takeTree();
    for (const follower of followers) follower.refresh();
    if (!Array.isArray(data.zones)) takeSnapshot();
  }
  if (event === "hello" || event === "live") takeLive(data);
  if (event === "signal" && concerns(data, tree.selected)) signals.refresh();
  if (event === "balance" && concerns(data, tree.selected)) {
    for (const follower of [chart, signals, orders]) follower.refresh(); // the forecast knows itself when it is old
  }
}

function takeLive(data) {
  if (!Array.isArray(data.zones)) return;
  const unknown = store.takeLive(data.zones.filter((view) => typeof view === "object"), data.at);
  if (unknown) takeTree();
  draw();
}

// An event that names no zone concerns all of them.
function concerns(data, zone) {
  const rows = data.rows ?? data.zones ?? [data];
  const names = rows.map((row) => (typeof row === "string" ? row : row.zone)).filter(Boolean);
  return names.length === 0 || names.includes(zone);
}

async function takeTree() {
  if (performance.now() - treeAskedAt < TREE_EVERY_MS) return;
  treeAskedAt = performance.now();
  try {
    if (store.setTree(await askRows("v1/zones"))) {
      tree.rebuild();
      takeSnapshot();
      selectFromHash();
    }
  } catch (problem) {
    onProblem(problem);
  }
  if (store.order.length === 0) setTimeout(takeTree, TREE_EVERY_MS + 100);
  draw();
}

async function takeSnapshot() {
  try {
    takeLive(await askJson("v1/live"));
  } catch (problem) {
    onProblem(problem);
  }
}

function onProblem(problem) {
  // What else fails shows itself in the status line; the stream tries again by itself.
  if (problem instanceof KeyNeeded) askForKey();
}

// --- what is drawn ---

function draw() {
  if (frame || document.hidden) return;
  frame = setTimeout(() => {
    frame = 0;
    drawNow();
  }, FRAME_MS);
}

function drawNow() {
  if (stream.status === "key") askForKey();
  statusLine.draw();
  setHidden(byId("empty"), !(store.empty && stream.status === "live"));
  setHidden(byId("main"), store.order.length === 0);
  tree.draw();
  const zone = store.zones.get(tree.selected);
  if (!zone) return;
  panel.draw(zone, expectationText(zone, signals.answer, (start) => forecast.rowAt(start)));
  chart.draw(store.at);
  forecast.draw(store.at);
  envelope.draw(signals);
  ordersTable.draw(orders);
  trace.draw(zone);
}

function selectFromHash() {
  const wanted = zoneOfHash();
  const name = store.zones.has(wanted) ? wanted : store.zones.has(tree.selected) ? tree.selected : store.roots[0]?.zone;
  if (name) tree.select(name);
}

function speak() {
  fillWords();
  tree.redrawAll();
  books.draw();
  fuse.draw();
  chart.remake();
  forecast.remake();
  trace.remake();
  draw();
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => setLanguage(button.dataset.language));
}
onLanguage(speak);
onKeyGiven(() => {
  treeAskedAt = -Infinity;
  takeTree();
  stream.retry();
});
addEventListener("hashchange", selectFromHash);
document.addEventListener("visibilitychange", draw);

speak();
statusLine.draw();
takeTree();
stream.open();
books.start();
fuse.start();
