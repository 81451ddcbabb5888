-- Dead letters: what failed, is stuck or dead, and nobody has looked at.

alter table {schema}.workflows add column acknowledged_at timestamptz;
alter table {schema}.workflows add column acknowledged_note text;

-- The id of the workflow whose first part a fork has.
alter table {schema}.workflows add column forked_from text collate "C";

create index workflows_dead_letters on {schema}.workflows (name, state, fingerprint, workflow_key)
    where acknowledged_at is null and (state = 'failed' or state = 'stuck' or state = 'dead');
