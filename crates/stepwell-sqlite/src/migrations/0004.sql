-- Workflows that are parked: they wait, and nobody keeps them in memory.

-- A parked one waits until `wake_at`, if that is not null, like a delayed one.
drop index workflows_delayed;
create index workflows_delayed on workflows (wake_at)
    where state in ('delayed', 'parked');

drop index workflows_unique_unfinished;
create index workflows_unique_unfinished on workflows (name, unique_key, workflow_key)
    where unique_key is not null and state in ('delayed', 'enqueued', 'running', 'parked', 'stuck');

-- Which workflow was parked until another one publishes something or ends. A row goes when that
-- happens; it says nothing about whether the waiter is parked, still.
create table waiters (
    workflow_key integer not null,
    waiter_key integer not null,
    primary key (workflow_key, waiter_key)
) strict, without rowid;
