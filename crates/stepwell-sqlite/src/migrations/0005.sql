-- Dead letters: what failed, is stuck or dead, and nobody has looked at.

alter table workflows add column acknowledged_at integer;
alter table workflows add column acknowledged_note text;

-- The id of the workflow whose first part a fork has.
alter table workflows add column forked_from text;

create index workflows_dead_letters on workflows (name, state, fingerprint, workflow_key)
    where acknowledged_at is null and (state = 'failed' or state = 'stuck' or state = 'dead');
