-- Upgrade: light: a column with a default, and a new table.
-- Names of roles in the configuration that a key has beside its scopes.
alter table api_keys add column roles text not null default '[]';

-- What was used, for each tenant and quarter of an hour. A quarter begins each day of every time zone.
create table usage_parts (
    tenant     text not null check (tenant <> ''),
    -- Empty: everybody's; `principal:` and a name, or `report:` and a name.
    subject    text not null,
    part       integer not null,
    jobs       integer not null default 0 check (jobs >= 0),
    rows       integer not null default 0 check (rows >= 0),
    bytes      integer not null default 0 check (bytes >= 0),
    recipients integer not null default 0 check (recipients >= 0),
    links      integer not null default 0 check (links >= 0),
    primary key (tenant, subject, part)
) without rowid;
create index usage_parts_by_part on usage_parts (part);
