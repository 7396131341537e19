-- Upgrade: light: a column with a default, and a new table.
-- Names of roles in the configuration that a key has beside its scopes.
alter table api_keys add column roles text[] not null default '{}';

-- What was used, for each tenant and quarter of an hour. A quarter begins each day of every time zone, and none is written to for long:
-- while any transaction of the cluster stays open, no former version of a row can be cleared, and each write looks past them all.
create table usage_parts (
    tenant     text not null check (tenant <> ''),
    -- Empty: everybody's; `principal:` and a name, or `report:` and a name.
    subject    text collate "C" not null,
    part       timestamptz not null,
    -- Writers at the same time have rows of their own, so that none waits for another. One row is made of them when the day is over.
    slot       smallint not null,
    jobs       bigint not null default 0 check (jobs >= 0),
    rows       bigint not null default 0 check (rows >= 0),
    bytes      bigint not null default 0 check (bytes >= 0),
    recipients bigint not null default 0 check (recipients >= 0),
    links      bigint not null default 0 check (links >= 0),
    primary key (tenant, subject, part, slot)
) with (fillfactor = 50);
create index usage_parts_by_part on usage_parts (part);
