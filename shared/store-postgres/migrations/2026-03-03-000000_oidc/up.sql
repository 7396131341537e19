-- Upgrade: light: a new table.
-- People whom an identity provider lets in, and who may write. They have no key whose state would say whether what is theirs may be run
-- again by others; how long ago they were let in says it.
create table known_owners (
    tenant    text not null,
    principal text not null,
    -- Its section in the configuration.
    issuer    text not null,
    -- When the newest was issued of what they were let in with.
    let_in_at timestamptz not null,
    primary key (tenant, principal)
);
create index known_owners_by_age on known_owners (let_in_at);
