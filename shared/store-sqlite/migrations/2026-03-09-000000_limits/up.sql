-- Upgrade: heavy on jobs: new columns, and indexes for which the table is read while writes wait.
-- How many jobs of something may run at once: `tenant:<name>`, `source:<name>`, `report:<name>`, and `key:<report>` for each value of a
-- report's key. Declared by the configuration and the catalogue.
create table run_limits (
    name text primary key,
    most integer not null check (most > 0)
) without rowid;

-- The value of its report's key: `<report>:<hash>`.
alter table jobs add column limit_key text;
-- The limit in whose line it was rung for.
alter table jobs add column rung_for text;
-- Those that wait for a place, or for the end of a pause.
create index jobs_in_line on jobs (set_aside, lane, tenant, created_at) where set_aside is not null;
create index jobs_rung_for on jobs (rung_for, lane) where rung_for is not null;
create index jobs_run_of on jobs (tenant, report) where state = 'processing' and leader_id is null;
