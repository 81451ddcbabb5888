// The middle column's lower half: the payment view, the order status view, or nothing.

import { byId, h, icon, setAttribute, setText, show } from "./dom.js";
import { awaitsPayment, cancelReason, isFinal, paymentLeft, progressBar, shippingLeft, statusLabel, statusOf } from "./order.js";
import { address } from "./route.js";
import { pay, payFiveTimes } from "./shop.js";
import { clock } from "./time.js";

const REFETCH_MS = 1000;

let shown = null;

/** Draws the view that the URL asks for. */
export function renderPanel(state) {
  const { view, id } = state.route;
  const name = `${view} ${id}`;
  if (shown?.name !== name) {
    const make = { payment: paymentView, order: orderView }[view];
    shown = { name, ...(make?.(id) ?? { node: null, update() {} }) };
    byId("panel").replaceChildren(...(shown.node ? [shown.node] : []));
  }
  shown.update(state);
}

/** A link back to the empty store. */
const continueShopping = () => h("a", { href: address("store"), "data-route": true, class: "button", "data-testid": "continue" }, "Continue Shopping");

function paymentView(payment) {
  const button = (id, className, text, onclick) => h("button", { class: `button ${className}`, type: "button", id, "data-testid": id, onclick }, text);
  const title = h("h2", { class: "panel-title" });
  const time = h("span", { class: "mono muted push", "data-testid": "pay-time" });
  const keyCode = h("code", { "data-testid": "payment-key" });
  const confirm = button("pay-confirm", "primary", "Confirm payment", () => pay(payment, "paid"));
  const decline = button("pay-decline", "decline", "Decline", () => pay(payment, "failed"));
  const five = button("pay-5x", "", "Send the webhook 5×", () => payFiveTimes(payment));
  const text = h("p", { class: "muted" });
  const settled = h("div", { class: "row wrap" });
  const node = h(
    "div",
    { class: "panel", "data-testid": "payment", "data-payment": payment },
    h("div", { class: "row wrap" }, title, h("span", { class: "chip" }, "mock payment provider")),
    h("div", { class: "row wrap small muted" }, h("span", {}, "Idempotency-Key ", keyCode), time),
    text,
    h("div", { class: "row wrap actions" }, confirm, decline, five),
    settled,
  );
  return {
    node,
    update({ store }) {
      const order = store?.orders.find((one) => one.payment_id === payment);
      const left = order ? paymentLeft(order) : "";
      const open = !order || order.order_status === 0;
      setText(title, order ? `Pay for order #${order.order_id}` : "Pay for your order");
      setText(keyCode, order?.workflow_id ?? payment);
      setText(time, left && `${left} left to pay`);
      setText(text, open ? "The provider calls our webhook. Click twice, or crash in between: the order is charged once." : settledText(order));
      show(confirm, open);
      show(decline, open);
      show(settled, !open);
      if (!open && !settled.firstChild) {
        settled.append(h("a", { href: address("order", order.order_id), "data-route": true, class: "button" }, "See the order"), continueShopping());
      }
    },
  };
}

function settledText(order) {
  const { word } = statusOf(order);
  const why = order.order_status === -1 ? ` (${cancelReason(order)})` : "";
  return `This payment is settled: order #${order.order_id} is ${word.toLowerCase()}${why}. Another webhook call changes nothing.`;
}

function orderView(id) {
  const title = h("h2", { class: "panel-title" }, `Order #${id}`);
  const label = statusLabel();
  const time = h("span", { class: "mono muted push" });
  const bar = progressBar();
  const text = h("p", { class: "muted" });
  const pay = h("a", { class: "button primary", "data-route": true }, "Pay");
  const node = h(
    "div",
    { class: "panel", "data-testid": "order-view" },
    h("div", { class: "row wrap" }, title, label.node, time),
    bar.node,
    text,
    h("div", { class: "row wrap actions" }, pay, continueShopping()),
  );
  const fetched = { order: null, missing: false, at: 0 };
  return {
    node,
    update({ store, connection }) {
      const listed = store?.orders.find((one) => String(one.order_id) === id);
      const order = listed ?? fetched.order;
      // The list may leave out old orders, so the order itself is asked for.
      if (!listed && store && connection === "connected") refetch(id, fetched);
      const missing = !order && fetched.missing;
      setAttribute(node, "data-status", missing ? "missing" : order && statusOf(order).name);
      show(label.node, Boolean(order));
      show(bar.node, false);
      show(pay, Boolean(order && awaitsPayment(order)));
      if (missing) return drawMissing(title, text, id);
      if (!order) return setText(text, "Looking for the order…");
      setText(title, `Order #${order.order_id}`);
      label.update(order);
      bar.update(order);
      setText(time, shippingLeft(order));
      setText(text, orderText(order));
      if (order.payment_id) setAttribute(pay, "href", address("payment", order.payment_id));
    },
  };
}

function drawMissing(title, text, id) {
  if (!title.querySelector("svg")) title.replaceChildren(icon("cross", "err"), " No such order");
  setText(text, `There is no order “${id}” in this store.`);
}

function orderText(order) {
  const updated = order.last_update_time ? ` Last update ${clock(order.last_update_time)}.` : "";
  switch (statusOf(order).name) {
    case "cancelled":
      return `Cancelled: ${cancelReason(order)}.${updated}`;
    case "dispatched":
      return `Paid and dispatched. Thank you!${updated}`;
    case "paid":
      return `Paid. It ships in ten parts; crash the application meanwhile, none is lost or repeated.${updated}`;
    default:
      return `The order waits for its payment.${updated}`;
  }
}

/** Asks for one order, at most once a second, until nothing about it can change. */
async function refetch(id, fetched) {
  if (Date.now() - fetched.at < REFETCH_MS || fetched.missing || (fetched.order && isFinal(fetched.order))) return;
  fetched.at = Date.now();
  try {
    const response = await fetch(`order/${encodeURIComponent(id)}`);
    if (response.ok) fetched.order = await response.json();
    else if (response.status < 500) fetched.missing = true;
  } catch {
    // The server is away; the next drawing asks again.
  }
}
