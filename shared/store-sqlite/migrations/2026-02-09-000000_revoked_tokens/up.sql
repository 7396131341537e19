-- Upgrade: light: a new table.
-- Tokens that were revoked before their time was over: one by its id, or all that a principal was given until then. A token has no row
-- while it lives: it is signed, and any gateway can check it. A row goes once no token it is about can be good any more.
create table revoked_tokens (
    tenant     text not null,
    -- `token:` and an id, or `principal:` and a name.
    subject    text not null,
    revoked_at integer not null,
    primary key (tenant, subject)
) without rowid;
create index revoked_tokens_by_age on revoked_tokens (revoked_at);
