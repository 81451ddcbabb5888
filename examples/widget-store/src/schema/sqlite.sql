-- The shop's tables in SQLite; `postgres.sql` has the same ones. Instants are texts of UTC with
-- milliseconds, because that is what both databases can hand to one program. Every statement can run again: each start of the process runs them all.

create table if not exists products (
    product_id integer primary key,
    product text not null,
    description text not null,
    inventory integer not null check (inventory >= 0),
    price double precision not null
);

create table if not exists orders (
    order_id integer primary key autoincrement,
    order_status integer not null,
    last_update_time text not null,
    progress_remaining integer not null default 10,
    -- The checkout that the order belongs to.
    workflow_id text not null,
    -- How many widgets the order has taken from the stock: 1 from the reservation on, 0 again when
    -- it was given back.
    widgets integer not null default 0,
    payment_id text,
    expires_at text
);

create index if not exists orders_by_workflow on orders (workflow_id);

-- Every widget that ever came into the stock: the first hundred, and what each restocking added.
-- So `stock + sold = delivered` holds at every moment, however often the shelf is filled.
create table if not exists deliveries (
    delivery_id integer primary key,
    widgets integer not null,
    delivered_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

-- A row for each transaction that was applied, written by that transaction. Nothing keeps it
-- unique, on purpose: a transaction that ran twice shows here as two rows.
create table if not exists applied (
    applied_id integer primary key,
    workflow_id text not null,
    operation text not null
);

create index if not exists applied_by_operation on applied (workflow_id, operation);

-- What the supervisor and the next process saw of each crash. `executor` is who the dead process
-- was for Stepwell, which notes the same in its log of takeovers.
create table if not exists crashes (
    crash_id integer primary key,
    at text not null,
    mode text not null,
    pid integer not null,
    executor text,
    restarted_ms integer,
    resumed_ms integer,
    workflow text,
    phase text,
    -- A worker that dies before it serves has written this already; the next one is told again.
    unique (at, pid)
);

insert into products (product_id, product, description, inventory, price)
values (1, 'Premium Quality Widget', 'Enhance your productivity with our top-rated widget.', 100, 99.99)
on conflict do nothing;

insert into deliveries (delivery_id, widgets)
values (1, 100)
on conflict do nothing;
