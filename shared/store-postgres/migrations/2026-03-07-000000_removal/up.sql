-- Upgrade: heavy on clicks: an index for which the table is read once while writes wait.
-- Jobs are removed with all that belongs to them: when their time is over, or when somebody is erased. Whoever has a link to one of
-- them is told that it is gone: of the link nothing is left but its hash.
create table gone_links (
    token_hash bytea primary key check (length(token_hash) = 32),
    gone_at    timestamptz not null default now()
);
create index gone_links_by_age on gone_links (gone_at);

-- What somebody clicked on who is erased.
create index clicks_of_principal on clicks (principal) where principal is not null;
