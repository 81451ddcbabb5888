-- The processor's own tables. Every statement can run again: each start of a process runs them all, as
-- one transaction.

-- Several processes may start at once, and `if not exists` looks before it makes.
select pg_advisory_xact_lock(7233016254);

-- Every event of the sources that share one processor. Nothing keeps `event_id` unique, on purpose: an
-- event that was processed twice shows here as two rows.
create table if not exists event_log (
    entry bigint generated always as identity primary key,
    event_id text not null,
    source text not null,
    kind text,
    payload jsonb not null,
    metadata jsonb not null,
    received_at timestamptz not null default clock_timestamp()
);

create index if not exists event_log_by_event on event_log (event_id);

create table if not exists inventory (
    product_id text primary key,
    quantity bigint not null constraint quantity_is_not_negative check (quantity >= 0)
);

insert into inventory (product_id, quantity)
values ('widget', 100), ('gadget', 100), ('gizmo', 12)
on conflict do nothing;

create table if not exists orders (
    order_id text primary key,
    customer_id text not null,
    status text not null default 'received',
    payment_id text
);

create table if not exists order_items (
    order_id text not null references orders,
    product_id text not null,
    quantity bigint not null,
    primary key (order_id, product_id)
);

-- What happened to accounts, in the order in which it happened to each.
create table if not exists account_events (
    account_id text not null,
    version bigint not null,
    event jsonb not null,
    happened_at timestamptz not null default clock_timestamp(),
    primary key (account_id, version)
);

-- What the events of an account come to: a projection, which can be rebuilt from them.
create table if not exists accounts (
    account_id text primary key,
    version bigint not null,
    balance_cents bigint not null,
    status text not null
);

create table if not exists payments (
    payment_id text primary key,
    customer_id text not null,
    amount_cents bigint not null,
    status text not null default 'pending',
    charge_id text
);

create table if not exists readings (
    reading bigint generated always as identity primary key,
    sensor text not null,
    taken_at text not null,
    value double precision not null
);

-- What the services outside were asked for, by the key that came with it. `asked` is more than 1 where a
-- step ran again; it was done once all the same.
create table if not exists outside (
    reference bigint generated always as identity primary key,
    service text not null,
    idempotency_key text not null,
    what text not null,
    asked bigint not null default 1,
    unique (service, idempotency_key)
);
