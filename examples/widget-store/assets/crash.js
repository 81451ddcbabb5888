// The crash button, its three modes, and the way to stop the third.

import { byId, show } from "./dom.js";
import { renderNote } from "./product.js";
import { crash } from "./shop.js";

/** Connects the controls, once. */
export function startCrash() {
  byId("crash").addEventListener("click", () => crash(document.querySelector("input[name=mode]:checked").value));
  byId("calm").addEventListener("click", () => crash("calm"));
}

/** Draws what is armed or going on. */
export function renderCrashControls({ store }) {
  const { chaos = false, armed = false } = store?.process ?? {};
  // The button that has the focus disappears with the chaos; the focus must not fall off the page.
  if (!chaos && document.activeElement === byId("calm")) byId("crash").focus();
  show(byId("calm"), chaos);
  renderNote(byId("crash-note"), message(chaos, armed));
}

function message(chaos, armed) {
  if (chaos) return { tone: "err", text: "Chaos: the process dies every 5 s. Go on shopping." };
  if (armed) return { tone: "wait", text: "Armed: the next transaction is cut in the middle. Buy or pay to meet it." };
  return null;
}
