-- What tells one workflow from another, and who may see it.

-- What tells a workflow from every other one that ever had its id: an id can be used again once its
-- workflow was deleted. Null for what was started before this was kept.
alter table workflows add column nonce text;
