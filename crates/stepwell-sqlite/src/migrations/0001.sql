-- The first schema. Frozen: a change is a new file.
--
-- Instants (`_at`) are microseconds since 1970 by the store's clock, durations (`_ms`)
-- milliseconds, payloads JSON text. No foreign keys: one batch writes both sides, and the checks
-- would cost a lookup for each record.

-- One small row for each workflow, updated in place. `autoincrement`, because a key that was
-- used is never used again, even after the newest workflow was deleted: processes remember keys.
create table workflows (
    workflow_key integer primary key autoincrement,
    workflow_id text not null unique,
    name text not null,
    state text not null,
    reason text,
    fingerprint text,
    executor_id text,
    -- Who had it when it was handed back; with `lost_at` and `lost_why` until the next claim.
    previous_executor_id text,
    lost_at integer,
    lost_why text,
    queue_name text,
    parent_key integer,
    detached integer not null default 0,
    origin text,
    recoveries integer not null default 0,
    records_at_claim integer not null default 0,
    created_at integer not null,
    started_at integer,
    ended_at integer,
    deadline_at integer,
    wake_at integer
) strict;

-- Every index below is on what is not finished, or rare: a workflow that starts, runs and succeeds
-- passes through `workflows_running` only.
create index workflows_enqueued on workflows (queue_name, name, workflow_key)
    where state = 'enqueued';
create index workflows_delayed on workflows (wake_at)
    where state = 'delayed';
create index workflows_running on workflows (executor_id, queue_name)
    where state = 'running';
create index workflows_running_queue on workflows (queue_name)
    where state = 'running' and queue_name is not null;
create index workflows_troubled on workflows (state, workflow_key)
    where state = 'failed' or state = 'cancelled' or state = 'stuck' or state = 'dead';
create index workflows_parent on workflows (parent_key)
    where parent_key is not null;

-- The history, append-only. The rows of a workflow lie together and in the order of its history:
-- `place` is written so that its bytes sort that way.
create table records (
    workflow_key integer not null,
    place text not null,
    kind text not null,
    name text not null,
    failed integer not null,
    payload text not null,
    attempts integer not null,
    started_at integer not null,
    recorded_at integer not null,
    primary key (workflow_key, place)
) strict, without rowid;

create table attributes (
    workflow_key integer not null,
    name text not null,
    value text not null,
    primary key (workflow_key, name)
) strict, without rowid;

create index attributes_value on attributes (name, value, workflow_key);

-- Received messages stay, without their payload, so that their keys stay used.
create table messages (
    message_number integer primary key autoincrement,
    workflow_key integer not null,
    topic text not null,
    message_key text,
    payload text,
    sent_at integer not null,
    received_at integer
) strict;

create index messages_inbox on messages (workflow_key, topic, message_number)
    where received_at is null;
create unique index messages_key on messages (workflow_key, message_key)
    where message_key is not null;

-- Every value that was ever published under a name; the highest number counts. A fork from before
-- the last one needs those before.
create table events (
    workflow_key integer not null,
    name text not null,
    event_number integer not null,
    place text not null,
    value text not null,
    published_at integer not null,
    primary key (workflow_key, name, event_number)
) strict, without rowid;

create table stream_entries (
    workflow_key integer not null,
    stream text not null,
    entry_offset integer not null,
    place text not null,
    value text not null,
    appended_at integer not null,
    primary key (workflow_key, stream, entry_offset)
) strict, without rowid;

create table queues (
    queue_name text primary key,
    concurrency integer,
    executor_concurrency integer,
    paused_at integer,
    paused_by text,
    paused_why text,
    created_at integer not null
) strict, without rowid;

-- `drained_at` is set when an ended executor has no work left; then nothing looks at it any more.
create table executors (
    executor_id text primary key,
    application text not null,
    version text not null,
    host text not null,
    pid integer not null,
    lease_ms integer not null,
    started_at integer not null,
    lease_expires_at integer not null,
    ended_at integer,
    ended_why text,
    drained_at integer
) strict, without rowid;

create index executors_active on executors (application)
    where drained_at is null;
create index executors_drained on executors (drained_at)
    where drained_at is not null;

create table takeovers (
    takeover_number integer primary key,
    workflow_key integer not null,
    lost_at integer not null,
    taken_at integer not null,
    from_executor_id text not null,
    to_executor_id text not null,
    replayed integer not null,
    why text not null
) strict;

create index takeovers_workflow on takeovers (workflow_key);

-- Running workflows that were cancelled by somebody else than their executor.
create table interrupts (
    executor_id text not null,
    workflow_key integer not null,
    primary key (executor_id, workflow_key)
) strict, without rowid;

-- Each time that a version of the code got stuck in a workflow; `queue_name` is empty for none. A
-- version looks at each row once: its cursors remember how far it has come, so that a claim stays
-- flat beside a million of them.
create table stuck (
    stuck_number integer primary key autoincrement,
    workflow_key integer not null,
    queue_name text not null,
    name text not null,
    version text not null
) strict;

create index stuck_name on stuck (queue_name, name, stuck_number);
create index stuck_version on stuck (workflow_key, version);

create table stuck_cursors (
    queue_name text not null,
    name text not null,
    version text not null,
    stuck_number integer not null,
    primary key (queue_name, name, version)
) strict, without rowid;
