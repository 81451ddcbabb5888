// The idempotency key of the next checkout.
//
// It lives in sessionStorage until it has been used up, so that a click whose
// answer was lost (crash, reload) is repeated with the same key and buys one widget.

const STORED = "widget-store.key";
// 32 letters, five bits each; none is easily taken for another.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH = 14;
const DOUBLE_CLICK_MS = 600;

let state = load();
let timer = 0;
const listeners = new Set();

/** The key to send. */
export const key = () => state.key;

/** Calls back when the key changes. */
export const onKey = (listener) => listeners.add(listener);

/** The key has an answer. It is renewed soon, but not at once: the second click
 *  of a double click is meant for the same checkout. */
export function keyAnswered(used) {
  if (used !== state.key || state.answered) return;
  store({ key: used, answered: true });
  timer = setTimeout(renewKey, DOUBLE_CLICK_MS);
}

/** Ends the double click's grace: the customer has moved on. */
export function keyIsDone() {
  if (state.answered) renewKey();
}

/** Draws a new key. */
export function renewKey() {
  clearTimeout(timer);
  store({ key: draw(), answered: false });
}

function draw() {
  const bytes = crypto.getRandomValues(new Uint8Array(LENGTH));
  return Array.from(bytes, (byte) => ALPHABET[byte & 31]).join("");
}

function store(next) {
  state = next;
  try {
    sessionStorage.setItem(STORED, JSON.stringify(state));
  } catch {
    // Storage may be forbidden; the key then lasts as long as the page.
  }
  for (const listener of listeners) listener(state.key);
}

function load() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED));
    if (stored?.key && !stored.answered) return stored;
  } catch {
    // As above: without storage a new key is drawn.
  }
  const fresh = { key: draw(), answered: false };
  try {
    sessionStorage.setItem(STORED, JSON.stringify(fresh));
  } catch {
    // As above.
  }
  return fresh;
}
