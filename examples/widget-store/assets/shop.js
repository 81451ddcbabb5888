// What a customer does: buy, pay, decline, restock. It decides; `panel.js` and `product.js` draw.

import { key, keyAnswered, keyIsDone, renewKey } from "./key.js";
import { reason, send, sendUntilAnswered } from "./requests.js";
import { go, route } from "./route.js";

/** What is under way, for the drawing. */
export const shop = {
  // Clicks on Buy with the current key that have no answer yet, and all of them.
  buying: 0,
  clicks: 0,
  paying: 0,
  note: null, // { tone, text }
};

let changed = () => {};

/** Calls back after each change of `shop`. */
export function onShop(listener) {
  changed = listener;
}

function note(tone, text) {
  shop.note = text ? { tone, text } : null;
  changed();
}

/** Forgets the message, at a change of the view that it was not about. */
export const clearNote = () => note();

const retrying = (what) => (attempt) => note("wait", `No answer from the store: retrying with the same ${what}… attempt ${attempt}`);

/** Buys a widget. Each click really sends a request; one key makes one checkout. */
export async function buy() {
  const used = key();
  const from = location.search;
  shop.clicks = shop.buying === 0 ? 1 : shop.clicks + 1;
  shop.buying += 1;
  note("info", shop.clicks > 1 ? `${shop.clicks} clicks, one key: one checkout.` : "Starting the checkout…");
  const answer = await sendUntilAnswered(`checkout/${encodeURIComponent(used)}`, { onRetry: retrying("key") });
  shop.buying -= 1;
  if (answer.ok) {
    bought(used, answer, from);
  } else if (answer.status === 404) {
    // The key names a checkout that has failed for good; another try needs another key.
    if (key() === used) renewKey();
    note("err", `${reason(answer, "Checkout failed to start")}. Out of stock? Restock, then buy with the new key.`);
  } else {
    note("err", `The store answered ${answer.status}: ${reason(answer, "no reason given")}. The key is kept.`);
  }
}

function bought(used, answer, from) {
  const payment = answer.text.trim();
  const clicks = shop.clicks;
  keyAnswered(used);
  // Whoever has gone to another view meanwhile is not pulled away from it.
  if (location.search === from) go("payment", payment);
  const one = "one key, one checkout.";
  if (answer.attempts > 1) note("ok", `Answered at attempt ${answer.attempts}: ${one}`);
  else if (clicks > 1) note("ok", `${clicks} clicks, ${one}`);
  else note();
}

/** Tells the store what the payment provider decided: `paid` or `failed`. */
export async function pay(payment, status) {
  keyIsDone();
  shop.paying += 1;
  note("info", status === "paid" ? "The payment provider calls our webhook…" : "Declining the payment…");
  const answer = await webhook(payment, status);
  shop.paying -= 1;
  const late = answer.attempts > 1 && { tone: "ok", text: `Answered at attempt ${answer.attempts}: it counts once.` };
  if (answer.ok) settled(payment, answer.text.trim(), late || null);
  else note("err", refused(answer));
}

/** Calls the webhook five times at once, as payment providers sometimes do. */
export async function payFiveTimes(payment) {
  keyIsDone();
  shop.paying += 1;
  note("info", "Sending the webhook 5 times…");
  const answers = await Promise.all(Array.from({ length: 5 }, () => webhook(payment, "paid")));
  shop.paying -= 1;
  const orders = new Set(answers.filter((answer) => answer.ok).map((answer) => answer.text.trim()));
  if (orders.size === 0) return note("err", refused(answers[0]));
  const good = answers.filter((answer) => answer.ok).length;
  const [order] = orders;
  const all = orders.size === 1 ? `all for order #${order}` : `for orders #${[...orders].join(", #")}`;
  settled(payment, order, { tone: orders.size === 1 ? "ok" : "err", text: `Webhook sent 5 times: ${good} answers, ${all}. It counts once.` });
}

const webhook = (payment, status) =>
  sendUntilAnswered(`payment_webhook/${encodeURIComponent(payment)}/${status}`, { onRetry: retrying("payment id") });

const refused = (answer) =>
  answer.status === 404 ? `${reason(answer, "Payment failed to process")}.` : `The store answered ${answer.status}: ${reason(answer, "no reason given")}.`;

function settled(payment, order, message = null) {
  const here = route();
  if (here.view === "payment" && here.id === payment) go("order", order);
  note(message?.tone, message?.text);
}

/** Fills the shelf again. */
export async function restock() {
  const answer = await sendUntilAnswered("restock", { onRetry: (attempt) => note("wait", `No answer from the store: restocking again… attempt ${attempt}`) });
  note(answer.ok ? "ok" : "err", answer.ok ? "Restocked." : reason(answer, "Restocking failed"));
}

/** Asks the store to crash. No answer is the best answer: the process died before it could. */
export async function crash(mode) {
  if (mode === "calm" || mode === "chaos") return sendUntilAnswered("crash_application", { body: { mode } });
  return send("crash_application", { mode });
}
