-- Upgrade: light: new tables.
-- The audit log. An entry is put into the queue in the transaction of what it is about, and linked to its tenant's chain soon after.
create table audit_queue (
    position integer primary key,
    at       integer not null,
    -- The entry as JSON, persons included.
    body     text not null
) strict;

-- One row a tenant: how far its chain goes, and behind which row what is left of it begins.
create table audit_chains (
    tenant         text primary key,
    removed_number integer not null default 0 check (removed_number >= 0),
    removed_hash   blob not null default (zeroblob(32)) check (length(removed_hash) = 32),
    number         integer not null check (number >= removed_number),
    hash           blob not null check (length(hash) = 32)
) strict;

-- The rows. Of persons only commitments stand here.
create table audit (
    tenant     text not null,
    number     integer not null check (number >= 1),
    id         blob not null,
    at         integer not null,
    act        text not null,
    subject    text not null,
    detail     text not null,
    outcome    text not null,
    count      integer not null check (count >= 1),
    who_hash   blob not null check (length(who_hash) = 32),
    about_hash blob check (length(about_hash) = 32),
    hash       blob not null check (length(hash) = 32),
    primary key (tenant, number)
) strict;
create index audit_by_age on audit (tenant, at);

-- What the commitments are made over, until it is erased.
create table audit_persons (
    tenant    text not null,
    number    integer not null,
    part      text not null check (part in ('who', 'about')),
    principal text,
    salt      text not null,
    body      text not null,
    primary key (tenant, number, part)
) strict;
create index audit_persons_by_name on audit_persons (tenant, principal) where principal is not null;

-- Rows are never changed, and removed only below the place that the chain remembers.
create trigger audit_is_not_changed before update on audit
begin
    select raise(abort, 'the audit log is only added to');
end;
create trigger audit_is_kept before delete on audit
    when not exists (select 1 from audit_chains c where c.tenant = old.tenant and c.removed_number >= old.number)
begin
    select raise(abort, 'the audit log is only added to');
end;
