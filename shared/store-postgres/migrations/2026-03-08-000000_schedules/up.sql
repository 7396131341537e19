-- Upgrade: light: new tables.
-- Reports that come by themselves. What people asked for is one value, which only the code reads; what statements look for has columns.
create table schedules (
    id             uuid primary key,
    tenant         text not null check (tenant <> ''),
    -- The owner: jobs run in their name.
    principal      text not null check (principal <> ''),
    settings       json not null,
    state          text not null default 'active' check (state in ('active', 'paused')),
    paused_why     text,
    -- Firings in a row that did not end well.
    failures       integer not null default 0 check (failures >= 0),
    -- Grows with each change that somebody makes; firings do not count.
    version        bigint not null default 1,
    -- The wall clock's time in the schedule's zone, as text: it names the firing.
    next_nominal   text,
    next_due       timestamptz,
    -- When somebody has to look at it: when it is due, or when a claim on it is over. Never set to a time that has passed.
    look_at        timestamptz,
    waiting        boolean not null default false,
    last_job_id    uuid,
    last_sent_at   timestamptz,
    alarm_after_ms bigint check (alarm_after_ms > 0),
    alarm_at       timestamptz,
    silent         boolean not null default false,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    constraint schedules_paused_with_reason check ((state = 'paused') = (paused_why is not null)),
    constraint schedules_due_with_nominal check ((next_nominal is null) = (next_due is null)),
    constraint schedules_looked_at_while_active check (look_at is null or (state = 'active' and next_due is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index schedules_of_tenant on schedules (tenant, id);
create index schedules_of_principal on schedules (tenant, principal, id);
create index schedules_due on schedules (look_at, id) where look_at is not null;
create index schedules_alarm on schedules (alarm_at) where alarm_at is not null;
create index schedules_silent on schedules (id) where silent;
create index schedules_stopped on schedules (id) where state = 'paused' and paused_why <> 'asked';

-- One nominal time of a schedule, and what became of it; or a firing that somebody asked for.
create table firings (
    id           uuid primary key,
    schedule_id  uuid not null references schedules (id) on delete cascade,
    nominal      text,
    key          text check (length(key) between 1 and 255),
    data_version text check (length(data_version) between 1 and 255),
    due_at       timestamptz not null,
    outcome      text not null check (outcome in ('fired', 'missed', 'skipped', 'refused')),
    job_id       uuid,
    detail       text,
    at           timestamptz not null default now(),
    ended        text,
    -- When somebody has to look how its job stands.
    look_at      timestamptz,
    constraint firings_fired_with_job check ((outcome = 'fired') = (job_id is not null))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create unique index firings_nominal on firings (schedule_id, nominal) where nominal is not null;
create unique index firings_key on firings (schedule_id, key) where key is not null;
create unique index firings_data_version on firings (schedule_id, data_version) where data_version is not null;
create index firings_newest on firings (schedule_id, id);
create index firings_open on firings (look_at, id) where look_at is not null;
create index firings_by_age on firings (at);

-- What the people of a schedule are told beside its reports.
create table schedule_notices (
    id          uuid primary key,
    schedule_id uuid not null references schedules (id) on delete cascade,
    tenant      text not null,
    kind        text not null,
    text        json not null,
    recipient   json not null,
    attempt     integer not null default 0,
    created_at  timestamptz not null default now(),
    -- When it is to be tried; null: it has ended.
    due_at      timestamptz default now(),
    sent_at     timestamptz,
    error       text
);
create index schedule_notices_due on schedule_notices (due_at, id) where due_at is not null;
create index schedule_notices_of on schedule_notices (schedule_id, id);
create index schedule_notices_by_age on schedule_notices (created_at);
