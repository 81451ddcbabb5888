-- Queues with keys, priorities, rates and a bound; starts that are one of a kind.

-- `queue_key` is empty for nobody in particular. `queue_rank` says who is first in line: the
-- microsecond since 1970 at which a workflow may run, moved by its priority.
alter table workflows add column queue_key text not null default '';
alter table workflows add column queue_rank integer not null default 0;

update workflows
set queue_rank = coalesce(wake_at, created_at)
where state in ('delayed', 'enqueued', 'running', 'stuck', 'cancelled', 'dead');

drop index workflows_enqueued;
create index workflows_enqueued on workflows (queue_name, queue_key, name, queue_rank)
    where state = 'enqueued';
create index workflows_running_key on workflows (queue_name, queue_key)
    where state = 'running' and queue_key <> '';

-- `unique_since` is when the first of those was started whose place this one has taken.
alter table workflows add column unique_key text;
alter table workflows add column unique_since integer;

create index workflows_unique_unfinished on workflows (name, unique_key, workflow_key)
    where unique_key is not null and state in ('delayed', 'enqueued', 'running', 'stuck');
create index workflows_unique on workflows (name, unique_key, created_at)
    where unique_key is not null;

alter table queues add column key_concurrency integer;
alter table queues add column rate_starts integer;
alter table queues add column rate_period_ms integer;
alter table queues add column waiting_max integer;

-- What began in queues with a rate, no longer than the rate looks back.
create table queue_starts (
    queue_name text not null,
    started_at integer not null,
    workflow_key integer not null,
    primary key (queue_name, started_at, workflow_key)
) strict, without rowid;
