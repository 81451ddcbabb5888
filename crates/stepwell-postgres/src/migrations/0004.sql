-- What tells one workflow from another, and who may see it.

-- What tells a workflow from every other one that ever had its id: an id can be used again once its
-- workflow was deleted. Null for what was started before this was kept, or by a program that does not
-- know it.
alter table {schema}.workflows add column nonce uuid;

-- As before, with a nonce of the caller's. The function without one stays, for programs that were built
-- before.
create function {schema}.start_workflow(
    of_identity text,
    of_id text,
    of_nonce text,
    of_name text,
    of_input text,
    of_queue text,
    of_queue_key text,
    -- concurrency, executor_concurrency, key_concurrency, rate_starts, rate_period_ms, waiting_max
    of_limits bigint[],
    of_advance_us bigint,
    of_delay_us bigint,
    of_deadline_us bigint,
    of_origin text,
    of_attributes text[],
    of_values text[],
    out outcome text,
    out found_key bigint,
    out found_name text,
    out found_state text,
    out found_input text
)
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off
as $function$
declare
    began timestamptz := {schema}.clock();
    bound bigint;
begin
    if not exists (select from {schema}.identity as i where i.identity = of_identity) then
        outcome := 'elsewhere';
        return;
    end if;

    if of_queue <> '' then
        select q.waiting_max into bound from {schema}.queues as q where q.queue_name = of_queue;
        if not found then
            bound := of_limits[6];
        end if;
    end if;

    if bound is null then
        insert into {schema}.workflows
            (workflow_id, name, state, queue_name, queue_key, queue_rank, origin, created_at,
             deadline_at, wake_at, nonce)
        values (
            of_id, of_name, case when of_delay_us is null then 'enqueued' else 'delayed' end,
            of_queue, of_queue_key,
            (extract(epoch from began) * 1000000)::bigint + coalesce(of_delay_us, 0) - of_advance_us,
            of_origin, began,
            began + of_deadline_us * interval '1 microsecond',
            began + of_delay_us * interval '1 microsecond',
            of_nonce::uuid)
        on conflict (workflow_id) do nothing
        returning workflow_key into found_key;
    end if;

    if found_key is null then
        select w.workflow_key, w.name, w.state, r.payload
        into found_key, found_name, found_state, found_input
        from {schema}.workflows as w
        join {schema}.records as r
          on r.workflow_key = w.workflow_key
         and r.place = ''
        where w.workflow_id = of_id;
        outcome := case
            when found_key is not null then 'existing'
            when bound is not null then 'bounded'
            else 'moved'
        end;
        return;
    end if;

    insert into {schema}.records
        (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
    values (found_key, '', 'input', '', false, of_input, 1, began, began);

    -- Of a name that comes twice, the last value counts.
    insert into {schema}.attributes (workflow_key, name, value)
    select distinct on (a.name) found_key, a.name, a.value
    from unnest(of_attributes, of_values) with ordinality as a (name, value, number)
    order by a.name, a.number desc;

    if of_queue <> '' then
        insert into {schema}.queues
            (queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
             rate_period_ms, waiting_max, created_at)
        values (of_queue, of_limits[1], of_limits[2], of_limits[3], of_limits[4], of_limits[5],
            of_limits[6], began)
        on conflict do nothing;
    end if;

    perform nextval('{schema}.changes'), pg_notify(btrim('{schema}', '"'), '- w ');
    outcome := 'new';
end
$function$;
