// The left column: every order, newest first, and the invariant below them.

import { byId, h, icon, keyedList, setAttribute, setText, show } from "./dom.js";
import { awaitsPayment, cancelReason, paymentLeft, progressBar, shippingLeft, statusLabel, statusOf } from "./order.js";
import { address, go } from "./route.js";

/** Draws the column from the state. */
export function renderOrders({ store, route }) {
  if (!store) return;
  const orders = store.orders;
  show(byId("orders-empty"), orders.length === 0);
  setText(byId("orders-count"), orders.length > 0 ? `· ${orders.length}` : "");
  const isOpen = (order) =>
    route.view === "order" ? String(order.order_id) === route.id : route.view === "payment" && order.payment_id === route.id;
  keyedList(byId("order-list"), orders.map((order) => ({ order, open: isOpen(order) })), ({ order }) => order.order_id, orderRow);
  renderInvariant(store);
}

function orderRow({ order: { order_id: id } }) {
  let current = null;
  const label = statusLabel();
  const bar = progressBar();
  const time = h("span", { class: "mono muted push" });
  const why = h("span", { class: "small muted" });
  const pay = h("button", { class: "button", type: "button", "data-testid": `pay-${id}`, onclick: () => go("payment", current.payment_id) }, "Pay");
  setAttribute(pay, "aria-label", `Pay for order ${id}`);
  const link = h("a", { href: address("order", id), "data-route": true, class: "order-link" }, `Order #${id}`);
  const extra = h("div", { class: "row" }, pay, why);
  const node = h("li", { "data-order": id, "data-testid": `order-${id}` }, h("div", { class: "row wrap" }, link, label.node, time), bar.node, extra);
  return {
    node,
    update({ order, open }) {
      current = order;
      setAttribute(node, "data-status", statusOf(order).name);
      setAttribute(node, "data-progress", order.progress_remaining);
      setAttribute(node, "class", open ? "open" : null);
      label.update(order);
      bar.update(order);
      setText(time, shippingLeft(order));
      const waits = awaitsPayment(order);
      show(pay, waits);
      setText(why, waits ? deadline(order) : order.order_status === -1 ? cancelReason(order) : "");
      show(extra, waits || order.order_status === -1);
    },
  };
}

function deadline(order) {
  const left = paymentLeft(order);
  return left ? `cancels itself and restocks in ${left}` : "";
}

function renderInvariant({ invariant, applied_twice: twice }) {
  const { stock, sold, total, holds } = invariant;
  verdict(byId("invariant"), `Invariant: ${stock} in stock + ${sold} sold = ${total}`, holds, holds ? "holds" : "broken");
  setAttribute(byId("invariant"), "data-holds", String(holds));
  const once = twice === 0;
  verdict(byId("applied-twice"), `Transactions applied twice: ${twice}`, once, once ? "none" : "should be 0");
}

/** A sentence with an icon and a word for whether it is as it must be. */
function verdict(node, sentence, good, word) {
  const key = `${sentence}|${good}`;
  if (node.shown === key) return;
  node.shown = key;
  node.replaceChildren(`${sentence} `, h("b", { class: `status ${good ? "ok" : "err"}` }, icon(good ? "check" : "cross"), h("span", { class: good ? "hidden" : "" }, word)));
}
