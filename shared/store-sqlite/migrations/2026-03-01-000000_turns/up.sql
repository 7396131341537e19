-- Upgrade: heavy on jobs: new columns, and two indexes for which the table is read while writes wait.
-- Whose turn it is. A row a lane and tenant (with an empty principal), and one a principal of it, from the first job that waits
-- until it is seen that none does.
create table turns (
    lane       text not null,
    tenant     text not null check (tenant <> ''),
    principal  text not null,
    -- Milliseconds of run time by weight. Whoever has the least is next.
    pass       real not null default 0 check (pass >= 0),
    weight     real not null default 1 check (weight > 0),
    -- Somebody's job waits, as far as is known.
    waiting    integer not null default 1 check (waiting in (0, 1)),
    primary key (lane, tenant, principal)
) without rowid;

-- What is paused: by an operator of a tenant for its jobs, or with an empty tenant for everybody's.
create table pauses (
    tenant    text not null,
    kind      text not null check (kind in ('lane', 'report', 'source', 'tenant')),
    name      text not null check (name <> ''),
    paused_by text not null,
    since     integer not null,
    primary key (tenant, kind, name)
) without rowid;

-- The job whose doorbell this attempt was claimed for, where that is another one: its message stands for this run.
alter table jobs add column rung_by blob check (length(rung_by) = 16);
-- The pause that keeps it waiting, `<tenant>/<kind>:<name>`. It is then as if it had been rung in the year 9999, and nobody looks at it.
alter table jobs add column set_aside text;
-- Who is next of a principal.
create index jobs_turns on jobs (lane, tenant, principal, created_at, id)
    where state = 'pending' and leader_id is null and crashes < 2 and set_aside is null;
create index jobs_set_aside on jobs (set_aside) where state = 'pending' and set_aside is not null;

-- Where the rows of a report version come from. Null: a version before this one kept it.
alter table report_versions add column source text;

insert into turns (lane, tenant, principal)
    select distinct lane, tenant, '' from jobs where state = 'pending' and leader_id is null
    union select distinct lane, tenant, principal from jobs where state = 'pending' and leader_id is null;
