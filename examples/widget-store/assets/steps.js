// The right column's list: the watched workflow, step by step.

import { byId, h, icon, keyedList, setAttribute, setIcon, setText, show } from "./dom.js";
import { progressOf } from "./order.js";
import { stateLook, timeline } from "./timeline.js";

// An output may be long; the whole of it is in the tooltip.
const DETAIL_LENGTH = 48;

/** Draws the list from the state. */
export function renderSteps({ workflow, store, connection }) {
  show(byId("steps-empty"), !workflow);
  show(byId("workflow"), Boolean(workflow));
  // Without a process nothing runs: the clocks stand still until it is back.
  const stale = connection === "away";
  setAttribute(byId("workflow"), "data-stale", stale);
  if (!workflow || (stale && byId("step-list").firstChild)) return;

  setText(byId("workflow-name"), workflow.name);
  setText(byId("workflow-id"), workflow.id);
  setAttribute(byId("workflow"), "data-workflow", workflow.id);
  setAttribute(byId("workflow"), "data-state", workflow.state);
  renderState(workflow.state);

  const order = store?.orders.find((one) => one.workflow_id === workflow.id);
  const rows = timeline(workflow, order ? progressOf(order) : null);
  keyedList(byId("step-list"), rows, (row) => row.key, stepRow);
}

function renderState(state) {
  const node = byId("workflow-state");
  if (node.shown === state) return;
  node.shown = state;
  const look = stateLook(state);
  setAttribute(node, "class", `status push ${look.tone}`);
  node.replaceChildren(icon(look.icon), h("span", {}, state));
}

function stepRow() {
  const svg = icon("dot");
  const word = h("span", { class: "hidden" });
  const name = h("span", { class: "step-name" });
  const detail = h("span", { class: "step-detail" });
  const time = h("span", { class: "mono muted step-time" });
  const node = h("li", {}, h("span", { class: "step-icon" }, svg, word), h("span", { class: "step-text" }, name, " ", detail), time);
  return {
    node,
    update(row) {
      const kind = row.crash ? "crash" : row.quiet ? "quiet" : row.word;
      setAttribute(node, "class", [kind, row.nested && "nested", row.child && "child"].filter(Boolean).join(" "));
      setAttribute(node, "data-step", row.crash || row.quiet ? kind : row.name);
      setAttribute(node, "data-state", row.word);
      setAttribute(node, "title", row.struck ?? null);
      setIcon(svg, row.icon, `${row.tone} ${row.word === "running" ? "pulse" : ""}`.trim());
      setText(word, `${row.word}: `);
      setText(name, row.name);
      const long = row.detail.length > DETAIL_LENGTH;
      setText(detail, long ? `${row.detail.slice(0, DETAIL_LENGTH)}…` : row.detail);
      setAttribute(detail, "title", long ? row.detail : null);
      setText(time, row.time);
    },
  };
}
