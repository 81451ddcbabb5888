// The URL is the view: `?payment=<id>`, `?order=<id>`, or neither for the store.

const listeners = new Set();

/** The view the URL asks for. */
export function route() {
  const query = new URLSearchParams(location.search);
  if (query.has("payment")) return { view: "payment", id: query.get("payment") };
  if (query.has("order")) return { view: "order", id: query.get("order") };
  return { view: "store", id: null };
}

/** The address of a view. */
export function address(view, id) {
  return view === "store" ? "?" : `?${view}=${encodeURIComponent(id)}`;
}

/** Goes to a view; the back button returns. */
export function go(view, id = null) {
  const here = route();
  if (here.view === view && here.id === id) return;
  history.pushState(null, "", view === "store" ? location.pathname : address(view, id));
  announce();
}

/** Calls back at each change of the view. */
export function onRoute(listener) {
  listeners.add(listener);
}

function announce() {
  for (const listener of listeners) listener(route());
}

addEventListener("popstate", announce);

// Links between views are real links, so that they open in a new tab too;
// a plain click only changes the view.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-route]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.search === location.search) return;
  history.pushState(null, "", link.search || location.pathname);
  announce();
});
