// Turns a workflow's steps and crashes into the rows of the list. No DOM here.

import { at, duration, now } from "./time.js";

const byPosition = new Intl.Collator("en", { numeric: true });
// A child of many steps is told in few rows; so is a workflow that died many times in one place.
const GROUP_FROM = 3;

const STATE = {
  succeeded: { icon: "check", tone: "ok" },
  failed: { icon: "cross", tone: "err" },
  cancelled: { icon: "stop", tone: "off" },
  stuck: { icon: "cross", tone: "err" },
  dead: { icon: "cross", tone: "err" },
  running: { icon: "play", tone: "run" },
};

/** Icon and colour of a workflow's state. */
export const stateLook = (state) => STATE[state] ?? { icon: "clock", tone: "wait" };

const isEnded = (workflow) => ["succeeded", "failed", "cancelled", "dead"].includes(workflow.state);

/** A workflow's steps in the order of the code. */
const stepsOf = (workflow) => [...(workflow.steps ?? [])].sort((a, b) => byPosition.compare(a.position, b.position));

/** What the workflow does right now, in words, or null if it does nothing. */
function currentOf(workflow, steps) {
  if (isEnded(workflow)) return null;
  const open = steps.find((step) => !step.ended_at);
  return open?.name ?? workflow.waiting_for ?? null;
}

/** The names of the steps in order, for following the source; `live` is the last one's state. */
export function trace(workflow) {
  const steps = stepsOf(workflow);
  const names = steps.filter((step) => step.ended_at).map((step) => step.name);
  const current = currentOf(workflow, steps);
  const child = (workflow.children ?? []).find((one) => !isEnded(one));
  if (current) return { names, current };
  return { names, current: child ? child.name : null };
}

/** The rows of a workflow and its children. `progress` is `{ done, total }` of its order, or null. */
export function timeline(workflow, progress) {
  const children = [...(workflow.children ?? [])];
  const rows = [];
  for (const item of merged(workflow)) {
    const child = item.step && childOf(item.step, children);
    if (child) rows.push(...childRows(child, progress));
    else rows.push(...itemRows(item, workflow.id));
  }
  for (const child of children) rows.push(...childRows(child, progress));
  return rows;
}

/**
 * Steps, crashes and the present moment in one sequence. A crash stands before
 * the first step that had not ended when it struck: what is above it was saved.
 */
function merged(workflow) {
  const steps = stepsOf(workflow);
  const items = steps.map((step) => ({ step }));
  const open = steps.some((step) => !step.ended_at);
  if (!open && currentOf(workflow, steps)) {
    const since = steps.at(-1)?.ended_at ?? workflow.started_at ?? null;
    items.push({ step: { position: "now", name: workflow.waiting_for, started_at: since, ended_at: null, attempts: 1 } });
  }
  for (const crash of workflow.crashes ?? []) {
    const struck = at(crash.at) ?? 0;
    const place = items.findIndex(({ step }) => step && (!step.ended_at || at(step.ended_at) > struck));
    // Without such a step it stands at the end, after earlier crashes.
    const index = place < 0 ? items.length : place;
    const before = items[index - 1];
    if (before?.crashes) before.crashes.push(crash);
    else items.splice(index, 0, { crashes: [crash] });
  }
  return items;
}

/** Takes the child that this step started out of `children`. */
function childOf(step, children) {
  const index = children.findIndex((child) => String(step.output ?? "").includes(child.id) || step.name === child.name || step.name.endsWith(` ${child.name}`));
  return index < 0 ? null : children.splice(index, 1)[0];
}

function itemRows(item, owner) {
  return item.step ? [stepRow(item.step, owner)] : crashRows(item.crashes, owner);
}

function stepRow(step, owner) {
  const key = `${owner} ${step.position}`;
  const started = at(step.started_at);
  const ended = at(step.ended_at);
  const look = step.error ? STATE.failed : ended === null ? STATE.running : STATE.succeeded;
  const word = step.error ? "failed" : ended === null ? "running" : "done";
  const attempts = step.attempts > 1 ? `attempt ${step.attempts}` : "";
  const result = step.error ?? step.output;
  return {
    key,
    ...look,
    word,
    name: step.name,
    detail: [result && ended !== null ? `→ ${result}` : "", attempts].filter(Boolean).join(" · "),
    time: elapsed(started, ended),
  };
}

/** `16 ms`, or `6.0 s …` as long as it goes on. */
function elapsed(started, ended) {
  if (started === null) return "";
  return ended === null ? `${duration(now() - started)} …` : duration(ended - started);
}

function crashRows(crashes, owner) {
  const last = crashes.at(-1);
  const key = `${owner} crash ${crashes[0].at}`;
  const struck = at(last.at) ?? 0;
  const recovered = at(last.recovered_at);
  const killed = crashes.length > 1 ? `process killed ${crashes.length} times` : "process killed";
  const after = recovered === null ? "waiting for a new process" : `resumed ${duration(recovered - struck)} later`;
  const rows = [{ key, icon: "bolt", tone: "err", word: "crash", name: `${killed} · ${after}`, detail: "", time: "", crash: true, struck: last.at }];
  if (recovered !== null && last.replayed > 0) {
    const steps = last.replayed === 1 ? "step" : "steps";
    rows.push({
      key: `${key} replay`,
      icon: "replay",
      tone: "off",
      word: "replay",
      name: `${last.replayed} ${steps} replayed from the database, not run again`,
      detail: "",
      time: typeof last.replay_ms === "number" ? duration(last.replay_ms) : "",
      quiet: true,
    });
  }
  return rows;
}

/** One row for the child; below it only what is going on, and its crashes. */
function childRows(child, progress) {
  const items = merged(child);
  const steps = items.filter((item) => item.step).map((item) => item.step);
  const started = at(steps[0]?.started_at ?? child.started_at);
  const ended = isEnded(child) ? at(steps.at(-1)?.ended_at) : null;
  const title = {
    key: `child ${child.id}`,
    ...stateLook(child.state),
    word: child.state,
    name: child.name,
    detail: progress ? `${progress.done} of ${progress.total}` : "",
    time: elapsed(started, ended),
    child: true,
  };
  const crashed = items.some((item) => item.crashes);
  if (isEnded(child) && !crashed) return [title];
  return [title, ...grouped(items, child.id).map((row) => ({ ...row, nested: true }))];
}

/** Long runs of finished steps become one row. */
function grouped(items, owner) {
  const rows = [];
  let run = [];
  const flush = () => {
    if (run.length < GROUP_FROM) rows.push(...run.map((step) => stepRow(step, owner)));
    else rows.push(groupRow(run, owner));
    run = [];
  };
  for (const item of items) {
    if (item.step?.ended_at && !item.step.error) {
      run.push(item.step);
      continue;
    }
    flush();
    rows.push(...itemRows(item, owner));
  }
  flush();
  return rows;
}

function groupRow(steps, owner) {
  const names = [...new Set(steps.map((step) => step.name))];
  const more = names.length > 2 ? ", …" : "";
  return {
    key: `${owner} group ${steps[0].position}`,
    ...STATE.succeeded,
    word: "done",
    name: `${steps.length} steps`,
    detail: `${names.slice(0, 2).join(", ")}${more}`,
    time: elapsed(at(steps[0].started_at), at(steps.at(-1).ended_at)),
  };
}
