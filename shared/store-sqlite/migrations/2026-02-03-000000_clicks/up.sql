-- Upgrade: light: new columns and a new table.
-- Who opened which link, when and with what kind of program. Looking at a link's page is a view, fetching its file a download; what
-- scanners of mails do is kept and not counted.
alter table links add column views integer not null default 0 check (views >= 0);
-- The job that made the report again after the link's file had gone.
alter table links add column again_job_id blob check (length(again_job_id) = 16);

create table clicks (
    id         integer primary key autoincrement,
    token_hash blob not null references links (token_hash),
    at         integer not null,
    kind       text not null check (kind in ('view', 'download')),
    agent      text not null check (agent in ('browser', 'program', 'scanner')),
    -- Who was signed in; null: nobody.
    principal  text
) strict;
create index clicks_of_link on clicks (token_hash, id);
create index clicks_by_age on clicks (at);
