-- Upgrade: heavy on jobs, artifacts, links: new columns and indexes, and two tables are written anew.
-- One run answers several identical jobs: those that come while it is under way join it, those that come later are answered from
-- its files. Jobs that were submitted without a wish to reuse have nothing but nulls here, and are in none of these indexes.
--
-- What makes jobs identical: SHA-256 over tenant, access scope, report version, parameters and formats.
alter table jobs add column fingerprint blob check (length(fingerprint) = 32);
-- Present: identical jobs may join this one while it is under way. How many ever did.
alter table jobs add column joined integer check (joined >= 0);
-- The job whose run this one shares, or whose files it was answered from.
alter table jobs add column leader_id blob check (length(leader_id) = 16);
alter table jobs add column served text check (served in ('warm', 'joined'));
-- Format, link id and hash of the link's token, for the files of a job that joined.
alter table jobs add column link_seeds text check (json_valid(link_seeds));
-- Set when whoever submitted it cancelled it while others wait for its run: they get the result, and the submitter sees it
-- cancelled since then, whatever `state` says of the run.
alter table jobs add column withdrawn_at integer;

-- At most one run of what is identical is under way that others can join.
create unique index jobs_joinable on jobs (fingerprint)
    where joined is not null and state in ('pending', 'processing', 'retrying');
create index jobs_reusable on jobs (fingerprint, finished_at) where fingerprint is not null and state = 'done';
create index jobs_following on jobs (leader_id)
    where leader_id is not null and state in ('pending', 'processing', 'retrying');

-- Several artifacts may be one file, which then expires in the same moment for all of them. SQLite takes a constraint away only
-- with its table, and a table only after those that refer to it.
create table new_artifacts (
    id          blob primary key not null check (length(id) = 16),
    job_id      blob not null references jobs (id),
    attempt     integer not null check (attempt >= 1),
    format      text not null,
    object_key  text not null,
    filename    text not null check (filename <> ''),
    bytes       integer not null check (bytes >= 0),
    rows        integer not null check (rows >= 0),
    sha256      text not null check (length(sha256) = 64 and sha256 not glob '*[^0-9a-f]*'),
    complete    integer not null check (complete in (0, 1)),
    snapshot_at integer not null,
    created_at  integer not null,
    expires_at  integer not null,
    link_id     blob not null check (length(link_id) = 16),
    -- When the sweeper deleted the file. The row stays: "it expired" is a better answer than "there never was one".
    deleted_at  integer,
    unique (job_id, format)
);
insert into new_artifacts
    select id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, created_at, expires_at,
           link_id, deleted_at
    from artifacts;
create table new_links (
    token_hash    blob primary key not null check (length(token_hash) = 32),
    artifact_id   blob not null references new_artifacts (id),
    tenant        text not null,
    created_at    integer not null,
    expires_at    integer not null,
    revoked_at    integer,
    clicks        integer not null default 0 check (clicks >= 0),
    last_click_at integer
) without rowid;
insert into new_links
    select token_hash, artifact_id, tenant, created_at, expires_at, revoked_at, clicks, last_click_at from links;
drop table links;
drop table artifacts;
alter table new_artifacts rename to artifacts;
alter table new_links rename to links;
create index artifacts_by_expiry on artifacts (expires_at) where deleted_at is null;
create index artifacts_by_key on artifacts (object_key);
create index links_by_artifact on links (artifact_id);
