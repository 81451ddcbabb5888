// What an order's fields mean to a customer: status, icon, words, progress.

import { h, icon, setAttribute, setIcon, setText } from "./dom.js";
import { at, now, rough } from "./time.js";

/** How many seconds a dispatch takes: the column's default. */
const PROGRESS = 10;

const STATUS = {
  "-1": { name: "cancelled", word: "Cancelled", icon: "stop", tone: "off" },
  0: { name: "pending", word: "Pending", icon: "clock", tone: "wait" },
  1: { name: "dispatched", word: "Dispatched", icon: "check", tone: "ok" },
  2: { name: "paid", word: "Shipping", icon: "play", tone: "run" },
};
const UNKNOWN = { name: "unknown", word: "Unknown", icon: "dot", tone: "off" };

/** Icon, word and colour of the order's status. `name` is the status as the database means it. */
export function statusOf(order) {
  const status = STATUS[order.order_status] ?? UNKNOWN;
  return awaitsPayment(order) ? { ...status, word: "Awaiting payment" } : status;
}

/** Whether the customer can pay it now. */
export const awaitsPayment = (order) => order.order_status === 0 && Boolean(order.payment_id);

/** Whether nothing will happen to it any more. */
export const isFinal = (order) => order.order_status === -1 || order.order_status === 1;

/** How many of the ten parts of the dispatch are done. */
export function progressOf(order) {
  const left = Math.min(PROGRESS, Math.max(0, order.progress_remaining ?? PROGRESS));
  return { done: PROGRESS - left, total: PROGRESS, left };
}

/** Seconds to the dispatch, as one part takes a second. */
export const shippingLeft = (order) => (order.order_status === 2 ? `${progressOf(order).left} s left` : "");

/** How long the customer has to pay, such as `41 s`, or empty if that has no end. */
export function paymentLeft(order) {
  const expires = at(order.expires_at);
  return awaitsPayment(order) && expires !== null ? rough(expires - now()) : "";
}

/** Why it was cancelled. The server's word counts; otherwise the fields tell. */
export function cancelReason(order) {
  if (order.reason) return order.reason;
  if (!order.payment_id) return "out of stock";
  const expires = at(order.expires_at);
  const updated = at(order.last_update_time);
  const late = expires !== null && updated !== null && updated >= expires;
  return `${late ? "not paid in time" : "payment declined"} · restocked`;
}

/** A status label, to be kept up to date. */
export function statusLabel() {
  const svg = icon("dot");
  const word = h("span");
  const node = h("span", { class: "status" }, svg, word);
  return {
    node,
    update(order) {
      const status = statusOf(order);
      setAttribute(node, "class", `status ${status.tone}`);
      setIcon(svg, status.icon);
      setText(word, status.word);
    },
  };
}

/** A bar for the dispatch, to be kept up to date. */
export function progressBar() {
  const fill = h("i");
  const node = h(
    "div",
    { class: "bar", role: "progressbar", "aria-label": "Shipping progress", "aria-valuemin": 0, "aria-valuemax": PROGRESS },
    fill,
  );
  return {
    node,
    update(order) {
      const { done, total } = progressOf(order);
      node.hidden = order.order_status !== 2;
      setAttribute(node, "aria-valuenow", done);
      // Through the CSSOM, which the content security policy allows; a style attribute it would not.
      const width = `${(100 * done) / total}%`;
      if (fill.style.width !== width) fill.style.width = width;
    },
  };
}
