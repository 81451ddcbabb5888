// The source of the checkout, with the line marked where the watched workflow is.

import { byId, h, setAttribute, setText, show } from "./dom.js";
import { trace } from "./timeline.js";

const TOKEN = /(?<comment>\/\/.*)|(?<string>"(?:\\.|[^"\\])*")|(?<attribute>#!?\[[^\]]*\])|(?<keyword>\b(?:async|await|break|const|else|enum|false|fn|for|if|impl|in|let|loop|match|mut|pub|return|self|struct|true|use|while)\b)|(?<number>\b\d[\d_]*\b)/g;

let lines = null;
let marked = -2;

/** Fetches the source; the panel stays hidden if the store does not serve it. */
export async function loadSource() {
  if (lines) return;
  try {
    const response = await fetch("source/checkout");
    if (!response.ok) return;
    lines = dedent(await response.text()).map((text) => ({ text, node: lineNode(text) }));
    byId("source-code").replaceChildren(...lines.map((line) => line.node));
  } catch {
    // The server is away; the next connection asks again.
  }
}

/** Marks the line that holds the name of what runs or is awaited. */
export function renderSource({ workflow }) {
  show(byId("source"), Boolean(lines && workflow));
  if (!lines || !workflow) return;
  const { names, current } = trace(workflow);
  const key = `${workflow.id} ${names.join(",")} ${current}`;
  if (key === marked) return;
  marked = key;

  // The same step may be written in several branches. Following the steps in
  // order, and never backwards if a later line fits, finds the right one.
  let place = 0;
  const past = new Set();
  for (const name of names) {
    const line = find(name, place);
    if (line < 0) continue;
    past.add(line);
    place = line;
  }
  const here = current ? find(current, place) : -1;
  lines.forEach(({ node }, index) => {
    setAttribute(node, "class", index === here ? "line here" : past.has(index) ? "line past" : "line");
    setAttribute(node, "aria-current", index === here ? "step" : null);
  });
  setText(byId("source-caption"), here >= 0 ? "The checkout's source. The marked line is where it is now." : "The checkout's source. The ticked lines have run.");
  if (here >= 0) scrollTo(lines[here].node);
}

/** The line that best fits a name such as `recv payment_status`, at or after `from`, else before. */
function find(name, from) {
  const words = name.toLowerCase().match(/[a-z_][a-z0-9_]*/g) ?? [];
  // `reserve_inventory` must not be found inside `undo_reserve_inventory`.
  const patterns = words.map((word) => new RegExp(`(?<![a-z0-9_])${word}`));
  const score = (text) => {
    const code = text.toLowerCase().replace(/\/\/.*/, "");
    return patterns.filter((pattern) => pattern.test(code)).length;
  };
  const best = (first, last) => {
    let found = -1;
    let most = 0;
    for (let index = first; index < last; index += 1) {
      const points = score(lines[index].text);
      if (points > most) [found, most] = [index, points];
    }
    return { found, most };
  };
  const later = best(from, lines.length);
  const sooner = best(0, from);
  return later.most >= sooner.most ? later.found : sooner.found;
}

/** Scrolls only the source; `scrollIntoView` would move the page under the customer. */
function scrollTo(node) {
  const box = byId("source-code");
  const top = node.offsetTop - box.offsetTop;
  const visible = top >= box.scrollTop && top + node.offsetHeight <= box.scrollTop + box.clientHeight;
  if (!visible) box.scrollTop = Math.max(0, top - box.clientHeight / 3);
}

function dedent(source) {
  const all = source.replace(/\s+$/, "").split("\n");
  const indents = all.filter((line) => line.trim()).map((line) => line.match(/^ */)[0].length);
  const cut = Math.min(...indents);
  return all.map((line) => line.slice(cut));
}

function lineNode(text) {
  const node = h("span", { class: "line" });
  // A long line wraps below its own indentation.
  node.style.setProperty("--indent", `${text.match(/^ */)[0].length + 2}ch`);
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    node.append(text.slice(end, match.index), h("span", { class: kind }, match[0]));
    end = match.index + match[0].length;
  }
  // The line break is kept for copying.
  node.append(text.slice(end), "\n");
  return node;
}
