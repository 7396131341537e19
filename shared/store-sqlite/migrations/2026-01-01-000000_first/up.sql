-- Upgrade: light: the first tables.
-- The first schema, the same as on PostgreSQL. From here on migrations only expand what the version before needs, and contract
-- what no running version uses any more.
--
-- Ids are blobs of sixteen bytes, so that UUIDv7 sort by time. Times are integers: microseconds since 1970 by this database's
-- clock. JSON is text. States are checked here as well as in the code, so that a row that must not exist cannot exist.

-- The definitions jobs were submitted with, by content hash. A job runs exactly the one it was validated against.
create table report_versions (
    version    text primary key not null,
    name       text not null,
    definition text not null,
    created_at integer not null
) without rowid;

-- One row a job, for ever.
create table jobs (
    id                blob primary key not null check (length(id) = 16),
    tenant            text not null check (tenant <> ''),
    principal         text not null check (principal <> ''),
    report            text not null check (report <> ''),
    report_version    text not null,
    lane              text not null,
    params            text not null check (json_valid(params)),
    formats           text not null check (json_valid(formats)),
    notify            text not null check (json_valid(notify)),
    state             text not null
        check (state in ('pending', 'processing', 'retrying', 'done', 'failed', 'cancelled')),
    -- The fencing token: only grows.
    attempt           integer not null default 0 check (attempt >= 0),
    errors            integer not null default 0 check (errors >= 0),
    crashes           integer not null default 0 check (crashes >= 0),
    interruptions     integer not null default 0 check (interruptions >= 0),
    max_attempts      integer not null check (max_attempts >= 1),
    timeout_ms        integer not null check (timeout_ms > 0),
    retention_ms      integer not null check (retention_ms > 0),
    worker_id         blob check (length(worker_id) = 16),
    phase             text not null default 'waiting',
    rows_read         integer not null default 0 check (rows_read >= 0),
    total_rows        integer check (total_rows >= 0),
    total_is_estimate integer not null default 0 check (total_is_estimate in (0, 1)),
    bytes_written     integer not null default 0 check (bytes_written >= 0),
    -- Number of the newest event.
    seq               integer not null default 1 check (seq >= 1),
    created_at        integer not null,
    started_at        integer,
    finished_at       integer,
    next_attempt_at   integer,
    -- When an outbox row was last written for the job's lane. What has been silent for long is rung again by the sweeper.
    rung_at           integer not null,
    error             text check (json_valid(error)),
    traceparent       text,
    constraint jobs_worker_while_processing check ((state = 'processing') = (worker_id is not null)),
    constraint jobs_due_while_retrying check ((state = 'retrying') = (next_attempt_at is not null)),
    constraint jobs_finished_when_final check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint jobs_failed_with_reason check (state <> 'failed' or error is not null),
    constraint jobs_run_before_done check (state not in ('processing', 'done') or (attempt >= 1 and started_at is not null))
);

-- Lists: newest first, within tenant and principal, or the whole tenant for operators.
create index jobs_of_principal on jobs (tenant, principal, id);
create index jobs_of_tenant on jobs (tenant, id);
-- Waiting jobs, longest silent first: the sweeper's view.
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
    body_hash  blob not null check (length(body_hash) = 32),
    job_id     blob not null,
    created_at integer not null,
    primary key (tenant, principal, key)
) without rowid;
create index idempotency_by_age on idempotency (created_at);

-- Facts about jobs, numbered per job without gap. There is one writer, so positions are in the order of commits.
create table events (
    position        integer primary key autoincrement,
    job_id          blob not null,
    seq             integer not null check (seq >= 1),
    tenant          text not null,
    principal       text not null,
    kind            text not null,
    state           text not null,
    attempt         integer not null check (attempt >= 0),
    error           text check (json_valid(error)),
    next_attempt_at integer,
    at              integer not null,
    unique (job_id, seq)
);
create index events_feed on events (tenant, principal, position);

-- Messages on their way out. A row belongs to its writer until `leased_until`, then to the relay that leases it; it is deleted
-- once the broker has confirmed it. Read oldest first, by position.
create table outbox (
    position     integer primary key autoincrement,
    id           blob not null unique check (length(id) = 16),
    -- The job, or the delivery.
    subject      blob not null,
    -- Routing key of the queue it reaches in the end.
    queue        text not null,
    delay_ms     integer check (delay_ms > 0),
    message      text not null check (json_valid(message)),
    traceparent  text,
    created_at   integer not null,
    leased_until integer not null
);
create index outbox_by_subject on outbox (subject);

-- Files. Times of the source's snapshot are the worker's; the others are ours.
create table artifacts (
    id          blob primary key not null check (length(id) = 16),
    job_id      blob not null references jobs (id),
    attempt     integer not null check (attempt >= 1),
    format      text not null,
    object_key  text not null unique,
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
create index artifacts_by_expiry on artifacts (expires_at) where deleted_at is null;

-- Links in mails. Only the hash of the token is kept.
create table links (
    token_hash    blob primary key not null check (length(token_hash) = 32),
    artifact_id   blob not null references artifacts (id),
    tenant        text not null,
    created_at    integer not null,
    expires_at    integer not null,
    revoked_at    integer,
    clicks        integer not null default 0 check (clicks >= 0),
    last_click_at integer
) without rowid;
create index links_by_artifact on links (artifact_id);

-- One notification to one recipient over one channel about one final event.
create table deliveries (
    id              blob primary key not null check (length(id) = 16),
    job_id          blob not null references jobs (id),
    tenant          text not null,
    event           text not null,
    seq             integer not null,
    channel         text not null,
    recipient       text not null check (recipient <> ''),
    state           text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'failed')),
    -- The notifier's fencing token: only grows.
    attempt         integer not null default 0 check (attempt >= 0),
    next_attempt_at integer,
    leased_until    integer,
    error           text,
    created_at      integer not null,
    sent_at         integer,
    rung_at         integer not null,
    unique (job_id, seq, channel, recipient),
    constraint deliveries_leased_while_sending check ((state = 'sending') = (leased_until is not null)),
    constraint deliveries_sent_at check ((state = 'sent') = (sent_at is not null)),
    constraint deliveries_due_only_while_pending check (next_attempt_at is null or state = 'pending')
);
create index deliveries_unfinished on deliveries (channel, rung_at) where state in ('pending', 'sending');
create index deliveries_of_tenant on deliveries (tenant, id);

-- Workers. The row says when one last wrote; the service process that owns the file knows its own workers, and that all others
-- are gone.
create table workers (
    id           blob primary key not null check (length(id) = 16),
    host         text not null,
    pid          integer not null,
    lanes        text not null check (json_valid(lanes)),
    concurrency  integer not null,
    started_at   integer not null,
    heartbeat_at integer not null
) without rowid;

-- API keys. Only the hash of the key is kept.
create table api_keys (
    id         blob primary key not null check (length(id) = 16),
    prefix     text not null,
    hash       blob not null unique check (length(hash) = 32),
    tenant     text not null check (tenant <> ''),
    principal  text not null check (principal <> ''),
    scopes     text not null check (json_valid(scopes)),
    created_at integer not null,
    expires_at integer,
    revoked_at integer
);
create index api_keys_of_tenant on api_keys (tenant, id);
