// Instants and durations as people read them, on the server's clock.

let ahead = 0;

/** Learns how far the server's clock is ahead of ours. Countdowns are then right on any machine. */
export function setServerTime(instant) {
  const server = Date.parse(instant);
  if (!Number.isNaN(server)) ahead = server - Date.now();
}

/** The server's time now, in milliseconds. */
export const now = () => Date.now() + ahead;

/** Milliseconds of an instant, or null. */
export function at(instant) {
  const ms = instant ? Date.parse(instant) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** `16 ms`, `9.4 s`, `1 min 20 s`: how long something took. */
export function duration(ms) {
  const value = Math.max(0, ms);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
  return rough(value);
}

/** `0.4 s`, also below one second: for sentences. */
export const seconds = (ms) => (ms < 60_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : rough(ms));

/** `41 s`, `1 min 20 s`, `2 h 5 min`: ages and countdowns, in whole seconds. */
export function rough(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}

/** `00:41:16.020`, local time. */
export function clock(instant) {
  const ms = at(instant);
  if (ms === null) return "";
  const date = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  const millis = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}
