-- Upgrade: light: new tables.
-- The audit log. An entry is put into the queue in the transaction of what it is about, and linked to its tenant's chain soon after.
create table audit_queue (
    position bigint generated always as identity,
    at       timestamptz not null default now(),
    -- The entry as JSON, persons included.
    body     text not null
);
create index audit_queue_by_age on audit_queue (at, position);

-- One row a tenant: how far its chain goes, and behind which row what is left of it begins.
create table audit_chains (
    tenant         text primary key,
    removed_number bigint not null default 0 check (removed_number >= 0),
    removed_hash   bytea not null default decode(repeat('00', 32), 'hex') check (length(removed_hash) = 32),
    number         bigint not null check (number >= removed_number),
    hash           bytea not null check (length(hash) = 32)
) with (fillfactor = 50);

-- The rows. Of persons only commitments stand here.
create table audit (
    tenant     text not null,
    number     bigint not null check (number >= 1),
    id         uuid not null,
    at         timestamptz not null,
    act        text not null,
    subject    text not null,
    detail     text not null,
    outcome    text not null,
    count      integer not null check (count >= 1),
    who_hash   bytea not null check (length(who_hash) = 32),
    about_hash bytea check (length(about_hash) = 32),
    hash       bytea not null check (length(hash) = 32),
    primary key (tenant, number)
);
create index audit_by_age on audit (tenant, at);

-- What the commitments are made over, until it is erased.
create table audit_persons (
    tenant    text not null,
    number    bigint not null,
    part      text not null check (part in ('who', 'about')),
    principal text,
    salt      text not null,
    body      text not null,
    primary key (tenant, number, part)
);
create index audit_persons_by_name on audit_persons (tenant, principal) where principal is not null;

-- Rows are never changed, and removed only below the place that the chain remembers.
create function waitless_keep_audit() returns trigger
    language plpgsql
    as $$
    begin
        if tg_op = 'DELETE' and exists (select from audit_chains c where c.tenant = old.tenant and c.removed_number >= old.number) then
            return old;
        end if;
        raise exception 'the audit log is only added to';
    end
    $$;
create trigger audit_is_kept before update or delete on audit for each row execute function waitless_keep_audit();
create function waitless_keep_all_audit() returns trigger
    language plpgsql
    as $$
    begin
        raise exception 'the audit log is only added to';
    end
    $$;
create trigger audit_is_not_emptied before truncate on audit for each statement execute function waitless_keep_all_audit();
