// The widget store's page: one state, fed by the server's events, drawn again at each change.

import { renderCrashControls, startCrash } from "./crash.js";
import { byId, setText } from "./dom.js";
import { renderHeader } from "./header.js";
import { keyIsDone, onKey } from "./key.js";
import { openLive } from "./live.js";
import { renderOrders } from "./orders.js";
import { renderPanel } from "./panel.js";
import { renderProduct, startProduct } from "./product.js";
import { onRoute, route } from "./route.js";
import { clearNote, onShop } from "./shop.js";
import { loadSource, renderSource } from "./source.js";
import { renderSteps } from "./steps.js";
import { setServerTime } from "./time.js";

const TICK_MS = 100;
// For those who asked for less motion, clocks move once a second.
const CALM_TICK_MS = 1000;

const state = { connection: "connecting", awaySince: 0, store: null, workflow: null, route: route() };

const views = [renderHeader, renderOrders, renderProduct, renderPanel, renderCrashControls, renderSteps, renderSource];

function draw() {
  for (const view of views) view(state);
}

const live = openLive({
  // A payment is named after its checkout, so the first connection can already be about it.
  watched: state.route.view === "payment" ? state.route.id : null,
  onStore(store) {
    setServerTime(store.now);
    state.store = store;
    watch();
    draw();
  },
  onWorkflow(workflow) {
    state.workflow = workflow;
    draw();
  },
  onConnection(connection) {
    if (connection === "away" && state.connection !== "away") state.awaySince = Date.now();
    if (connection === "connected") loadSource().then(draw);
    state.connection = connection;
    draw();
  },
});

/** Watches the checkout that the URL is about, else the newest one. */
function watch() {
  const { view, id } = state.route;
  const orders = state.store?.orders ?? [];
  if (view === "payment") live.watch(orders.find((order) => order.payment_id === id)?.workflow_id ?? id);
  else if (view === "order") live.watch(orders.find((order) => String(order.order_id) === id)?.workflow_id ?? null);
  else live.watch(null);
}

/** Names the view: in the title for the history, in a live region for those who do not see it change. */
function announce() {
  const { view, id } = state.route;
  const name = { payment: "Payment", order: `Order ${id}`, store: "Store" }[view];
  document.title = view === "store" ? "Widget Store" : `${name} · Widget Store`;
  return name;
}

onRoute((next) => {
  state.route = next;
  setText(byId("announcement"), announce());
  if (next.view !== "payment") keyIsDone();
  watch();
  clearNote();
});
onShop(draw);
onKey(draw);
startProduct();
startCrash();
announce();
draw();

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let timer = 0;
function tick() {
  clearInterval(timer);
  timer = setInterval(() => document.hidden || draw(), calm.matches ? CALM_TICK_MS : TICK_MS);
}
calm.addEventListener("change", tick);
tick();
