-- Schedules. `next_at` is the first tick that was not considered; it only moves on. Few rows.
create table schedules (
    schedule_name text primary key,
    workflow_name text not null,
    spec text not null,
    timezone text,
    missed text not null,
    arguments text not null,
    queue_name text,
    declared_by text not null,
    created_at integer not null,
    next_at integer,
    last_at integer,
    paused_at integer,
    paused_by text,
    paused_why text
) strict, without rowid;
