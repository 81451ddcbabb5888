-- Workflows that are parked: they wait, and nobody keeps them in memory.

-- A parked one waits until `wake_at`, if that is not null, like a delayed one.
drop index {schema}.workflows_delayed;
create index workflows_delayed on {schema}.workflows (wake_at)
    where state in ('delayed', 'parked');

drop index {schema}.workflows_unique_unfinished;
create index workflows_unique_unfinished on {schema}.workflows (name, unique_key, (workflow_key + 0))
    where unique_key is not null and state in ('delayed', 'enqueued', 'running', 'parked', 'stuck');

-- Whether others were parked until this workflow publishes something or ends. Whoever parks sets it
-- under the row's lock, and whoever publishes or ends holds that lock: so one of them sees the other.
alter table {schema}.workflows add column watched boolean not null default false;

-- Who was parked until another workflow publishes something or ends. A row goes when that happens;
-- it says nothing about whether the waiter is parked, still.
create table {schema}.waiters (
    workflow_key bigint not null,
    waiter_key bigint not null,
    primary key (workflow_key, waiter_key)
);

-- As before, and wakes the receiver if it is parked: the lock is the one that whoever parks waits for.
create or replace function {schema}.send_message(
    of_identity text,
    to_id text,
    of_topic text,
    of_key text,
    of_payload text,
    out outcome text,
    out found_key bigint
)
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off
as $function$
declare
    found_state text;
    kinds text := '';
begin
    if not exists (select from {schema}.identity as i where i.identity = of_identity) then
        outcome := 'elsewhere';
        return;
    end if;

    select w.workflow_key, w.state
    into found_key, found_state
    from {schema}.workflows as w
    where w.workflow_id = to_id
    for key share;
    if found_key is null then
        outcome := 'missing';
        return;
    end if;

    insert into {schema}.messages (workflow_key, topic, message_key, payload, sent_at)
    values (found_key, of_topic, of_key, of_payload, {schema}.clock())
    on conflict do nothing;
    if not found then
        outcome := 'duplicate';
        return;
    end if;

    if found_state = 'parked' then
        update {schema}.workflows as w
        set state = 'enqueued',
            reason = null,
            wake_at = null
        where w.workflow_key = found_key
          and coalesce(w.state, '') = 'parked';
        kinds := 'w';
    end if;

    perform nextval('{schema}.changes'),
        pg_notify(btrim('{schema}', '"'), '- ' || kinds || ' ' || found_key);
    outcome := 'new';
end
$function$;
