-- Dead letters: what failed, is stuck or dead, and nobody has looked at.

alter table {schema}.workflows add column acknowledged_at timestamptz;
alter table {schema}.workflows add column acknowledged_note text;

create index workflows_dead_letters on {schema}.workflows (name, state, fingerprint, workflow_key)
    where acknowledged_at is null and (state = 'failed' or state = 'stuck' or state = 'dead');
