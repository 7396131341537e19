-- Upgrade: heavy on jobs, artifacts: new columns, and indexes that are built while writes to both tables wait.
-- One run answers several identical jobs: those that come while it is under way join it, those that come later are answered from
-- its files. Jobs that were submitted without a wish to reuse have nothing but nulls here, and are in none of these indexes.
alter table jobs
    -- What makes jobs identical: SHA-256 over tenant, access scope, report version, parameters and formats.
    add column fingerprint  bytea check (length(fingerprint) = 32),
    -- Present: identical jobs may join this one while it is under way. How many ever did.
    add column joined       integer check (joined >= 0),
    -- The job whose run this one shares, or whose files it was answered from.
    add column leader_id    uuid check (leader_id <> id),
    add column served       text check (served in ('warm', 'joined')),
    -- Format, link id and hash of the link's token, for the files of a job that joined.
    add column link_seeds   json,
    -- Set when whoever submitted it cancelled it while others wait for its run: they get the result, and the submitter sees it
    -- cancelled since then, whatever `state` says of the run.
    add column withdrawn_at timestamptz;

-- At most one run of what is identical is under way that others can join.
create unique index jobs_joinable on jobs (fingerprint)
    where joined is not null and state in ('pending', 'processing', 'retrying');
create index jobs_reusable on jobs (fingerprint, finished_at) where fingerprint is not null and state = 'done';
create index jobs_following on jobs (leader_id)
    where leader_id is not null and state in ('pending', 'processing', 'retrying');

-- Several artifacts may be one file. They expire in the same moment.
alter table artifacts drop constraint artifacts_object_key_key;
create index artifacts_by_key on artifacts (object_key);
