//! The text of the hot statement, put together from its arms.

/// The fence is the first that runs: every arm stands on its row. See `change.rs`.
macro_rules! fence {
    () => {
        "with fence as materialized (
            select losses, {schema}.clock() as now
            from {schema}.executors
            where executor_id = $1
              and ended_at is null
              and losses = coalesce($2, losses)
            for key share
        ),"
    };
}

/// What a client starts stands on nobody's lease.
macro_rules! no_fence {
    () => {
        "with fence as materialized (
            select 0::bigint as losses, {schema}.clock() as now
        ),"
    };
}

/// Records where none is. Those that come together (`part`) go in only if none of them is there.
macro_rules! records {
    () => {
        "
        there as materialized (
            select distinct i.part
            from unnest($3::bigint[], $4::text[], $11::integer[]) as i (workflow_key, place, part)
            cross join lateral (
                select 1
                from {schema}.records as r
                where r.workflow_key = i.workflow_key
                  and r.place = i.place
                offset 0
            ) as old
            where i.part is not null
        ),
        added as (
            insert into {schema}.records
                (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
            select i.workflow_key, i.place, i.kind, i.name, i.failed, i.payload, i.attempts,
                f.now - i.elapsed_us * interval '1 microsecond', f.now
            from fence as f
            cross join unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[],
                $8::text[], $9::bigint[], $10::bigint[], $11::integer[])
                as i (workflow_key, place, kind, name, failed, payload, attempts, elapsed_us, part)
            cross join lateral (
                select w.state, w.executor_id
                from {schema}.workflows as w
                where w.workflow_key = i.workflow_key
                offset 0
            ) as own
            where own.state = 'running'
              and own.executor_id = $1
              and (i.part is null or i.part not in (select part from there))
            on conflict do nothing
            returning workflow_key, place
        ),"
    };
}

/// Ends, each with its result, but for those that somebody is parked for: the record is made from the row that was changed. The conditions are
/// looked at again if the row's lock had to be waited for. With `any (array[…])` for `=` the table
/// cannot be joined as a whole.
macro_rules! ends {
    () => {
        "
        ended as (
            update {schema}.workflows as w
            set state = i.state,
                reason = i.reason,
                fingerprint = i.fingerprint,
                ended_at = f.now
            from fence as f
            cross join unnest($12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[])
                as i (workflow_key, state, fingerprint, payload, reason)
            where w.workflow_key = any (array[i.workflow_key])
              and coalesce(w.state, '') = 'running'
              and coalesce(w.executor_id, '') = $1
              and not w.watched
            returning w.workflow_key, i.state, i.payload, f.now
        ),
        results as (
            insert into {schema}.records
                (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
            select e.workflow_key, '~', 'result', '', e.state = 'failed', e.payload, 1, e.now, e.now
            from ended as e
            on conflict do nothing
        ),"
    };
}

/// Starts, in the order in which they were handed in: keys grow with it. What belongs to a row that
/// this statement makes is made from what the insert gives back: no other part of the statement
/// sees the row.
macro_rules! starts {
    () => {
        "
        started as (
            insert into {schema}.workflows
                (workflow_id, name, state, executor_id, queue_name, queue_key, queue_rank,
                 parent_key, detached, origin, records_at_claim, created_at, started_at,
                 deadline_at, wake_at, nonce)
            select i.workflow_id, i.name, i.state, case when i.state = 'running' then $1 end,
                i.queue_name, i.queue_key,
                (extract(epoch from f.now) * 1000000)::bigint + coalesce(i.delay_us, 0)
                    - i.advance_us,
                i.parent_key, i.detached, i.origin,
                case when i.state = 'running' then 1 else 0 end, f.now,
                case when i.state = 'running' then f.now end,
                f.now + i.deadline_us * interval '1 microsecond',
                f.now + i.delay_us * interval '1 microsecond', i.nonce::uuid
            from fence as f
            cross join unnest($17::text[], $18::text[], $19::text[], $20::text[], $21::bigint[],
                $22::boolean[], $23::text[], $24::bigint[], $25::bigint[], $38::text[],
                $39::bigint[], $40::boolean[], $41::text[]) with ordinality
                as i (workflow_id, name, state, queue_name, parent_key, detached, origin,
                    deadline_us, delay_us, queue_key, advance_us, let_in, nonce, number)
            where i.let_in
               or not exists (
                select from {schema}.queues as q
                where q.queue_name = i.queue_name
                  and q.waiting_max is not null
            )
            order by i.number
            on conflict (workflow_id) do nothing
            returning workflow_key, workflow_id, created_at
        ),
        inputs as (
            insert into {schema}.records
                (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
            select s.workflow_key, '', 'input', '', false, i.payload, 1, s.created_at, s.created_at
            from started as s
            join unnest($17::text[], $26::text[]) as i (workflow_id, payload)
              on i.workflow_id = s.workflow_id
        ),
        described as (
            insert into {schema}.attributes (workflow_key, name, value)
            select s.workflow_key, i.name, i.value
            from started as s
            join unnest($27::text[], $28::text[], $29::text[]) as i (workflow_id, name, value)
              on i.workflow_id = s.workflow_id
        ),
        queued as (
            insert into {schema}.queues
                (queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
                 rate_period_ms, waiting_max, created_at)
            select distinct on (i.queue_name)
                i.queue_name, i.concurrency, i.executor_concurrency, i.key_concurrency,
                i.rate_starts, i.rate_period_ms, i.waiting_max, s.created_at
            from started as s
            join unnest($30::text[], $31::text[], $32::bigint[], $33::bigint[], $34::bigint[],
                $35::bigint[], $36::bigint[], $37::bigint[]) with ordinality
                as i (workflow_id, queue_name, concurrency, executor_concurrency, key_concurrency,
                    rate_starts, rate_period_ms, waiting_max, number)
              on i.workflow_id = s.workflow_id
            order by i.queue_name, i.number
            on conflict do nothing
        ),"
    };
}

/// What went in; the details only if not all did. No row of the fence: nothing was written.
macro_rules! answer {
    ($added:literal, $ended:literal, $started:literal) => {
        concat!(
            "
        answer (asked) as (values (true))
        select f.losses, ",
            $added,
            ", ",
            $ended,
            ", ",
            $started,
            "
        from answer
        left join fence as f on true"
        )
    };
}

macro_rules! what_ran {
    ($started:literal) => {
        answer!(
            "(select array_agg(workflow_key) from added
                having count(*) < cardinality($3)),
             (select array_agg(place) from added
                having count(*) < cardinality($3)),
             (select count(*) from added) = cardinality($3)",
            "(select array_agg(workflow_key) from ended)",
            $started
        )
    };
}

/// Records and ends of an executor.
pub(crate) const RUNS: &str = concat!(
    fence!(),
    records!(),
    ends!(),
    what_ran!("null::bigint[], null::text[]")
);

/// One record: what a workflow that runs alone writes again and again. Arrays and their arms would
/// cost the server as much as the row itself.
pub(crate) const RECORD: &str = concat!(
    fence!(),
    "
        added as (
            insert into {schema}.records
                (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
            select $3, $4, $5, $6, $7, $8, $9, f.now - $10 * interval '1 microsecond', f.now
            from fence as f
            cross join lateral (
                select w.state, w.executor_id
                from {schema}.workflows as w
                where w.workflow_key = $3
                offset 0
            ) as own
            where own.state = 'running'
              and own.executor_id = $1
            on conflict do nothing
            returning workflow_key
        ),",
    answer!(
        "null::bigint[], null::text[], exists (select from added)",
        "null::bigint[]",
        "null::bigint[], null::text[]"
    )
);

/// The same, and starts.
pub(crate) const RUNS_AND_STARTS: &str = concat!(
    fence!(),
    records!(),
    ends!(),
    starts!(),
    what_ran!(
        "(select array_agg(workflow_key) from started), (select array_agg(workflow_id) from started)"
    )
);

/// Starts of a client.
pub(crate) const STARTS: &str = concat!(
    no_fence!(),
    starts!(),
    answer!(
        "null::bigint[], null::text[], false",
        "null::bigint[]",
        "(select array_agg(workflow_key) from started), (select array_agg(workflow_id) from started)"
    )
);
