-- Upgrade: light: the first tables.
-- The first schema. From here on migrations only expand what the version before needs (new tables, nullable or defaulted
-- columns, new indexes), and contract what no running version uses any more: two versions run on one database at a time.
--
-- Times are the database's own (`now()`). States and names are text, checked here as well as in the code, so that a row that
-- must not exist cannot exist. JSON that only the code reads is of type `json`, which keeps numbers exactly as they came.

-- UUIDv7 for rows whose number only the statement itself knows (deliveries made from a job's list of recipients).
create function waitless_uuid_v7() returns uuid
    language sql volatile parallel safe
    as $$
        select encode(
            set_bit(set_bit(
                overlay(uuid_send(gen_random_uuid())
                        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                        from 1 for 6),
                52, 1), 53, 1),
            'hex')::uuid
    $$;

-- The advisory lock a worker's heartbeat connection holds as long as its process lives.
create function waitless_lock_key(worker uuid) returns bigint
    language sql immutable parallel safe
    as $$ select ('x' || left(replace(worker::text, '-', ''), 16))::bit(64)::bigint $$;

-- Whether nobody holds a worker's lock. Ours until the end of the transaction if so.
create function waitless_lock_is_free(worker uuid) returns boolean
    language plpgsql volatile
    as $$
    declare
        key constant bigint := waitless_lock_key(worker);
    begin
        -- A pooler of sessions may have handed us the very session that holds it, and to that it would look free.
        if exists (select from pg_locks
                   where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 1
                     and classid::bigint = ((key >> 32) & 4294967295) and objid::bigint = (key & 4294967295)) then
            return false;
        end if;
        return pg_try_advisory_xact_lock(key);
    end
    $$;

-- The definitions jobs were submitted with, by content hash. A job runs exactly the one it was validated against.
create table report_versions (
    version    text primary key,
    name       text not null,
    definition text not null,
    created_at timestamptz not null default now()
);

-- One row a job, for ever. The free space in each page lets a heartbeat write progress into the same page without touching
-- an index (HOT): progress columns are in no index, and must never be.
create table jobs (
    id                uuid primary key,
    tenant            text not null check (tenant <> ''),
    principal         text not null check (principal <> ''),
    report            text not null check (report <> ''),
    report_version    text not null,
    lane              text not null,
    params            json not null,
    formats           json not null,
    notify            json not null,
    state             text not null default 'pending'
        check (state in ('pending', 'processing', 'retrying', 'done', 'failed', 'cancelled')),
    -- The fencing token: only grows.
    attempt           integer not null default 0 check (attempt >= 0),
    errors            integer not null default 0 check (errors >= 0),
    crashes           integer not null default 0 check (crashes >= 0),
    interruptions     integer not null default 0 check (interruptions >= 0),
    max_attempts      integer not null check (max_attempts >= 1),
    timeout_ms        bigint not null check (timeout_ms > 0),
    retention_ms      bigint not null check (retention_ms > 0),
    worker_id         uuid,
    phase             text not null default 'waiting',
    rows_read         bigint not null default 0 check (rows_read >= 0),
    total_rows        bigint check (total_rows >= 0),
    total_is_estimate boolean not null default false,
    bytes_written     bigint not null default 0 check (bytes_written >= 0),
    -- Number of the newest event.
    seq               bigint not null default 1 check (seq >= 1),
    created_at        timestamptz not null default now(),
    started_at        timestamptz,
    finished_at       timestamptz,
    next_attempt_at   timestamptz,
    -- When an outbox row was last written for the job's lane. What has been silent for long is rung again by the sweeper.
    rung_at           timestamptz not null default now(),
    error             json,
    traceparent       text,
    constraint jobs_worker_while_processing check ((state = 'processing') = (worker_id is not null)),
    constraint jobs_due_while_retrying check ((state = 'retrying') = (next_attempt_at is not null)),
    constraint jobs_finished_when_final check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint jobs_failed_with_reason check (state <> 'failed' or error is not null),
    constraint jobs_run_before_done check (state not in ('processing', 'done') or (attempt >= 1 and started_at is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Lists: newest first, within tenant and principal, or the whole tenant for operators.
create index jobs_of_principal on jobs (tenant, principal, id);
-- Waiting jobs, longest silent first: the sweeper's and the autoscaler's view.
create index jobs_pending on jobs (lane, rung_at) where state = 'pending';
create index jobs_retrying on jobs (next_attempt_at) where state = 'retrying';
create index jobs_processing on jobs (worker_id) where state = 'processing';
-- Limits of a tenant, and counts for operators.
create index jobs_unfinished on jobs (tenant, lane, state) where state in ('pending', 'processing', 'retrying');

-- Answers that were given under an Idempotency-Key. Apart from the jobs, because keys are forgotten sooner than jobs.
create table idempotency (
    tenant     text not null,
    principal  text not null,
    key        text not null check (length(key) between 1 and 255),
    body_hash  bytea not null check (length(body_hash) = 32),
    job_id     uuid not null,
    created_at timestamptz not null default now(),
    primary key (tenant, principal, key)
);
create index idempotency_by_age on idempotency (created_at);

-- Facts about jobs, numbered per job without gap.
--
-- A feed over many jobs reads in the order (xid, position), and only below the oldest transaction that still runs. A
-- transaction that commits late has a transaction id that no reader has passed yet, so none of its events is skipped.
-- After a dump was restored into another cluster run `update events set xid = '3'`: transaction ids start anew there.
create table events (
    job_id          uuid not null,
    seq             bigint not null check (seq >= 1),
    position        bigint generated always as identity,
    xid             xid8 not null default pg_current_xact_id(),
    tenant          text not null,
    principal       text not null,
    kind            text not null,
    state           text not null,
    attempt         integer not null check (attempt >= 0),
    error           json,
    next_attempt_at timestamptz,
    at              timestamptz not null default now(),
    primary key (job_id, seq)
) with (fillfactor = 100);
create index events_feed on events (tenant, principal, xid, position);

-- Messages on their way out. A row belongs to its writer until `leased_until`, then to the relay that leases it; it is deleted
-- once the broker has confirmed it. Small and churning: vacuum by count, not by share.
create table outbox (
    id           uuid primary key,
    kind         text not null,
    -- The job, or the delivery.
    subject      uuid not null,
    -- Routing key of the queue it reaches in the end.
    queue        text not null,
    delay_ms     bigint check (delay_ms > 0),
    detail       json,
    traceparent  text,
    created_at   timestamptz not null default now(),
    leased_until timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);
create index outbox_by_lease on outbox (leased_until, created_at, id);
create index outbox_by_subject on outbox (subject);

-- Files. Times of the source's snapshot are the worker's; the others are ours.
create table artifacts (
    id          uuid primary key,
    job_id      uuid not null references jobs (id),
    attempt     integer not null check (attempt >= 1),
    format      text not null,
    object_key  text not null unique,
    filename    text not null check (filename <> ''),
    bytes       bigint not null check (bytes >= 0),
    rows        bigint not null check (rows >= 0),
    sha256      text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    complete    boolean not null,
    snapshot_at timestamptz not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    link_id     uuid not null,
    -- When the sweeper deleted the file. The row stays: "it expired" is a better answer than "there never was one".
    deleted_at  timestamptz,
    unique (job_id, format)
);
create index artifacts_by_expiry on artifacts (expires_at) where deleted_at is null;

-- Links in mails. Only the hash of the token is kept.
create table links (
    token_hash    bytea primary key check (length(token_hash) = 32),
    artifact_id   uuid not null references artifacts (id),
    tenant        text not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    revoked_at    timestamptz,
    clicks        bigint not null default 0 check (clicks >= 0),
    last_click_at timestamptz
) with (fillfactor = 90);
create index links_by_artifact on links (artifact_id);

-- One notification to one recipient over one channel about one final event.
create table deliveries (
    id              uuid primary key,
    job_id          uuid not null references jobs (id),
    tenant          text not null,
    event           text not null,
    seq             bigint not null,
    channel         text not null,
    recipient       text not null check (recipient <> ''),
    state           text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
    -- The notifier's fencing token: only grows.
    attempt         integer not null default 0 check (attempt >= 0),
    next_attempt_at timestamptz,
    leased_until    timestamptz,
    error           text,
    created_at      timestamptz not null default now(),
    sent_at         timestamptz,
    rung_at         timestamptz not null default now(),
    unique (job_id, seq, channel, recipient),
    constraint deliveries_leased_while_sending check ((state = 'sending') = (leased_until is not null)),
    constraint deliveries_sent_at check ((state = 'sent') = (sent_at is not null)),
    constraint deliveries_due_only_while_pending check (next_attempt_at is null or state = 'pending')
) with (fillfactor = 85);
create index deliveries_unfinished on deliveries (channel, rung_at) where state in ('pending', 'sending');
create index deliveries_of_tenant on deliveries (tenant, id);

-- Worker processes. The row says when it last wrote; the session advisory lock `lock_key`, held by the worker's heartbeat
-- connection, says at once when its process is gone.
create table workers (
    id           uuid primary key,
    lock_key     bigint not null,
    host         text not null,
    pid          bigint not null,
    lanes        text[] not null,
    concurrency  integer not null,
    started_at   timestamptz not null default now(),
    heartbeat_at timestamptz not null default now()
) with (fillfactor = 50);

-- API keys. Only the hash of the key is kept.
create table api_keys (
    id         uuid primary key,
    prefix     text not null,
    hash       bytea not null unique check (length(hash) = 32),
    tenant     text not null check (tenant <> ''),
    principal  text not null check (principal <> ''),
    scopes     text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create index api_keys_of_tenant on api_keys (tenant);
