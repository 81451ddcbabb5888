// The header and the two banners: where the process is, and what the last crash cost.

import { byId, h, icon, setAttribute, setText, show } from "./dom.js";
import { at, clock, duration, now, rough, seconds } from "./time.js";

const CONNECTION = {
  connecting: { word: "connecting", icon: "spin", tone: "off" },
  connected: { word: "connected", icon: "dot", tone: "ok" },
  away: { word: "reconnecting", icon: "spin", tone: "err" },
};

const HOW = { now: "by kill -9", transaction: "in the middle of a transaction", chaos: "by the chaos" };

/** Draws header and banners from the state. */
export function renderHeader({ connection, awaySince, store }) {
  renderConnection(connection);
  show(byId("reconnecting"), connection === "away");
  if (connection === "away") setText(byId("reconnecting-time"), seconds(Date.now() - awaySince));
  setText(byId("live-word"), connection === "connected" ? "live" : "waiting for the server");
  if (!store) return;
  const { process, crash } = store;
  setText(byId("pid"), `pid ${process.pid}`);
  const age = now() - (at(process.started_at) ?? now());
  setText(byId("uptime"), connection === "away" ? " · gone" : ` · started ${rough(age)} ago`);
  setText(byId("crashes"), ` · ${process.crashes} ${process.crashes === 1 ? "crash" : "crashes"} survived`);
  setAttribute(byId("crashes"), "data-crashes", process.crashes);
  setAttribute(byId("pid"), "data-pid", process.pid);
  const link = byId("console");
  show(link, Boolean(store.console));
  setAttribute(link, "href", store.console);
  show(byId("crash-banner"), Boolean(crash) && connection !== "away");
  if (crash) renderCrash(store);
}

function renderConnection(state) {
  const node = byId("connection");
  if (node.shown === state) return;
  node.shown = state;
  const look = CONNECTION[state];
  setAttribute(node, "data-state", state);
  setAttribute(node, "class", `status ${look.tone}`);
  node.replaceChildren(icon(look.icon, look.icon === "spin" ? "spin" : "pulse"), h("span", {}, look.word));
}

/** Writes the banner only when the crash has changed: screen readers read each write aloud. */
function renderCrash(store) {
  const { crash, applied_twice: twice } = store;
  const node = byId("crash-text");
  const key = JSON.stringify([crash, twice, store.console]);
  if (node.shown === key) return;
  node.shown = key;
  const bold = (text, className = "") => h("b", { class: className }, text);
  const parts = [HOW[crash.mode] ? `${HOW[crash.mode]} ` : "", `at ${clock(crash.at)}`];
  if (crash.workflow) {
    parts.push(" while ", bold(crash.workflow), crash.phase ? ` was ${crash.phase}` : " was running");
  }
  parts.push(". Restarted in ", bold(duration(crash.restarted_ms ?? 0)));
  if (crash.workflow) {
    if (typeof crash.resumed_ms === "number") parts.push(", workflow resumed in ", bold(duration(crash.resumed_ms)));
    else parts.push(", resuming the workflow…");
  }
  const count = `${twice} ${twice === 1 ? "transaction" : "transactions"} applied twice`;
  parts.push(", ", bold(count, twice === 0 ? "" : "err"), ".");
  node.replaceChildren(...parts);
  const link = byId("crash-link");
  const timeline = crash.timeline ?? store.console;
  setAttribute(link, "href", timeline ?? "#steps");
  setText(link, timeline ? "see it on the timeline" : "see it in the steps");
}
