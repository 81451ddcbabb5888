// The few DOM helpers the page needs: build, update in place, keep a list in step.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id; the ids are all in index.html. */
export const byId = (id) => document.getElementById(id);

/** Builds an element. A property is set as an attribute, `on…` as a listener. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An icon of the sprite in index.html; a word beside it says the same. */
export function icon(name, className = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${className}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Changes what an icon shows. */
export function setIcon(svg, name, className = "") {
  setAttribute(svg, "class", `icon ${className}`.trim());
  setAttribute(svg.firstChild, "href", `#i-${name}`);
}

/** Sets or removes an attribute. It writes only a change: an equal write would restart transitions. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** Sets the text. It writes only a change, so that live regions stay quiet and selections survive. */
export function setText(node, value) {
  const text = String(value);
  if (node.textContent !== text) node.textContent = text;
}

/** Shows or hides an element. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/**
 * Makes the children of `parent` follow `items`, one row a key, in order.
 * Rows are reused: a focused button keeps its focus, a bar its transition.
 * `create(item)` answers `{ node, update(item) }`.
 */
export function keyedList(parent, items, keyOf, create) {
  const rows = (parent.keyedRows ??= new Map());
  const keys = new Set(items.map(keyOf));
  // Gone rows leave first: moving the rows behind them would cost these their focus.
  for (const [key, row] of rows) {
    if (keys.has(key)) continue;
    row.node.remove();
    rows.delete(key);
  }
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let row = rows.get(key);
    if (!row) rows.set(key, (row = create(item)));
    row.update(item);
    if (row.node === place) place = place.nextSibling;
    else parent.insertBefore(row.node, place);
  }
}
