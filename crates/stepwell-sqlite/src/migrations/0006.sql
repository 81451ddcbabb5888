-- What tells one workflow from another, and who may see it.

-- What tells a workflow from every other one that ever had its id: an id can be used again once its
-- workflow was deleted. Null for what was started before this was kept.
alter table workflows add column nonce text;
-- Releases of the code, numbered in the order in which they first came: of two that declare one
-- schedule or one queue, the newer counts.
create table releases (
    release_number integer primary key autoincrement,
    application text not null,
    version text not null,
    unique (application, version)
) strict;

-- `declares` is a JSON array: the names of the schedules that the executor's code declares.
alter table executors add column release_number integer not null default 0;
alter table executors add column declares text not null default '[]';

create index executors_release on executors (release_number);

-- `release_number` is whose declaration stands. `revision` counts what the schedule was, so that a tick
-- which was worked out from an earlier one counts no more. One that is withdrawn is as good as gone,
-- and keeps its pause.
alter table schedules add column release_number integer not null default 0;
alter table schedules add column revision integer not null default 0;
alter table schedules add column withdrawn_at integer;

-- `limited_at` is when a person set the limits, in place of what `release_number` declares.
alter table queues add column release_number integer not null default 0;
alter table queues add column limited_at integer;

-- Deadlines that pass while nobody runs the workflow.
create index workflows_deadline on workflows (deadline_at)
    where deadline_at is not null and state in ('delayed', 'enqueued', 'parked');

-- The place before which a fork was copied: what tells a fork that is asked for again from another one.
alter table workflows add column forked_place text;

-- `names` is a JSON array: the workflows that the executor registers; null of one whose version does not
-- say. `doing` is JSON: what its runs have been at for a while, as of the last renewal of its lease.
alter table executors add column names text;
alter table executors add column doing text;
