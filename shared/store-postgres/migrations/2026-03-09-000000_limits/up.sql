-- Upgrade: heavy on jobs: a new column, and an index for which the table is read while writes wait.
-- How many jobs of something may run at once, over all workers. Whoever starts a job under a limit holds its row.
create table run_limits (
    -- `tenant:<name>`, `source:<name>`, `report:<name>`, and `key:<report>` for each value of a report's key; these are declared by the
    -- configuration and the catalogue. `key:<report>:<hash>` for one value, from the first job that has it.
    name       text primary key,
    -- Null: of one value, for which that of the report holds.
    most       integer check (most > 0),
    -- Jobs that took a place or were rung for one. Those of them that run hold one; the rest of them are over.
    holders    uuid[] not null default '{}',
    changed_at timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
create index run_limits_declared on run_limits (name) where most is not null;
create index run_limits_of_values on run_limits (changed_at) where most is null;

-- The value of its report's key: `<report>:<hash>`.
alter table jobs add column limit_key text;
-- Those that wait for a place, and for whom a pause.
create index jobs_in_line on jobs (set_aside, lane, tenant, created_at) where set_aside is not null;
