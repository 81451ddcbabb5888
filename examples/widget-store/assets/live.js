// The server-sent events: one stream, reopened for ever, with the workflow to watch in its URL.

const REOPEN_MS = [300, 600, 1000, 2000];

/**
 * Opens the stream about the workflow `watched`; null means the newest checkout. `onStore` and `onWorkflow` get the parsed events;
 * `onConnection` gets `connecting`, `connected` or `away`.
 */
export function openLive({ watched, onStore, onWorkflow, onConnection }) {
  let stream = null;
  let failures = 0;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    stream?.close();
    const query = watched ? `?watch=${encodeURIComponent(watched)}` : "";
    const current = (stream = new EventSource(`live${query}`));
    const listen = (name, handle) =>
      current.addEventListener(name, (event) => {
        // A closed stream may still deliver what was under way; it is about another workflow.
        if (current === stream) handle(event);
      });
    listen("open", () => {
      failures = 0;
      onConnection("connected");
    });
    listen("store", (event) => onStore(JSON.parse(event.data)));
    listen("workflow", (event) => onWorkflow(JSON.parse(event.data)));
    listen("error", () => {
      onConnection("away");
      // EventSource reconnects by itself after a broken connection, but gives
      // up for good after an answer such as 502. The page must not.
      if (current.readyState !== EventSource.CLOSED) return;
      const wait = REOPEN_MS[Math.min(failures, REOPEN_MS.length - 1)];
      failures += 1;
      timer = setTimeout(open, wait);
    });
  }

  onConnection("connecting");
  open();
  // A page in the back/forward cache would keep its connection, of which a browser has only six.
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => event.persisted && open());

  return {
    /** Watches another workflow. */
    watch(id) {
      if (id === watched) return;
      watched = id;
      open();
    },
  };
}
