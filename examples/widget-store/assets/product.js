// The middle column's upper half: the widget, its price, the stock, the Buy button, the message.

import { byId, setAttribute, setText, show } from "./dom.js";
import { key } from "./key.js";
import { buy, restock, shop } from "./shop.js";

const TEETH = 12;
const MONEY = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

/** Draws the widget and connects the buttons, once. */
export function startProduct() {
  byId("gear").setAttribute("d", gearPath());
  for (let bolt = 0; bolt < 6; bolt += 1) {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    const [x, y] = polar(23, (bolt * Math.PI) / 3);
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    circle.setAttribute("r", 2.2);
    byId("bolts").append(circle);
  }
  byId("buy").addEventListener("click", buy);
  byId("restock").addEventListener("click", restock);
}

/** Draws the product from the state. */
export function renderProduct({ store, route }) {
  const product = store?.product;
  if (product) {
    const price = MONEY.format(Number(product.price));
    setText(byId("product-name"), product.product);
    setText(byId("product-description"), product.description);
    setText(byId("price"), price);
    setText(byId("inventory"), product.inventory);
    setAttribute(byId("inventory"), "class", product.inventory > 0 ? null : "err");
    setText(byId("buy"), route.view === "store" ? `Buy Now for ${price}` : "Buy another");
  }
  // Where paying is the next thing to do, buying steps back.
  setAttribute(byId("buy"), "class", `button wide ${route.view === "payment" ? "" : "primary"}`.trim());
  setAttribute(byId("buy"), "aria-busy", String(shop.buying > 0));
  setAttribute(byId("store"), "data-busy", String(shop.buying > 0 || shop.paying > 0));
  setText(byId("key"), key());
  renderNote(byId("note"), shop.note);
}

/** Shows a message, or hides its place. */
export function renderNote(node, message) {
  show(node, Boolean(message));
  setAttribute(node, "class", `note ${message?.tone ?? ""}`.trim());
  setText(node, message?.text ?? "");
}

function polar(radius, angle) {
  return [60 + radius * Math.sin(angle), 58 - radius * Math.cos(angle)].map((n) => Math.round(n * 100) / 100);
}

/** A gear with softened teeth: each is a trapezium whose corners are quadratic curves. */
function gearPath() {
  const step = (2 * Math.PI) / TEETH;
  const outer = 50;
  const inner = 40.5;
  let path = "";
  for (let tooth = 0; tooth < TEETH; tooth += 1) {
    const middle = tooth * step;
    const [a, b, c, d, e, f] = [
      polar(inner, middle - step * 0.3),
      polar(outer - 2, middle - step * 0.19),
      polar(outer, middle - step * 0.11),
      polar(outer, middle + step * 0.11),
      polar(outer - 2, middle + step * 0.19),
      polar(inner, middle + step * 0.3),
    ];
    const corner = (side) => polar(outer, middle + side * step * 0.17);
    path += `${tooth === 0 ? "M" : "L"}${a} L${b} Q${corner(-1)} ${c} L${d} Q${corner(1)} ${e} L${f} `;
    path += `A${inner} ${inner} 0 0 1 ${polar(inner, middle + step * 0.7)} `;
  }
  return `${path}Z`;
}
