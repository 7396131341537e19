-- Upgrade: light: a new table.
-- The first rows of a job that runs for a while, as JSON, for whoever waits. Never part of a result: a worker that is fenced
-- writes none, and each attempt starts anew.
create table previews (
    job_id     uuid primary key references jobs (id),
    attempt    integer not null check (attempt >= 1),
    body       text not null check (length(body) <= 131072),
    -- The retention of the job's files, counted from the last change.
    expires_at timestamptz not null
);
create index previews_by_expiry on previews (expires_at);
