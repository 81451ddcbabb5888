// POST requests that survive a crash of the server.

const ATTEMPT_MS = 15_000;
const BACKOFF_MS = 200;
const BACKOFF_MS_MAX = 2000;

// What a proxy or a starting server answers; anything else is the store's own answer.
const AWAY = new Set([502, 503, 504]);

/** Sends once. Answers `{ ok, status, text }`, or null if the server was not there. */
export async function send(url, body) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
      signal: AbortSignal.timeout(ATTEMPT_MS),
    });
    if (AWAY.has(response.status)) return null;
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch {
    return null;
  }
}

/**
 * Sends until there is an answer, and counts the `attempts`. Only for requests that are harmless to repeat:
 * a request that got no answer may have been carried out.
 */
export async function sendUntilAnswered(url, { body, onRetry } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await send(url, body);
    if (answer) return { ...answer, attempts: attempt };
    onRetry?.(attempt + 1);
    const wait = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (attempt - 1));
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** The error text of an answer: plain, or the `detail` of a JSON body. */
export function reason(answer, fallback) {
  try {
    return JSON.parse(answer.text).detail ?? fallback;
  } catch {
    return answer.text.trim().slice(0, 200) || fallback;
  }
}
