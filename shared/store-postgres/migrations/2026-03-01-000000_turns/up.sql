-- Upgrade: heavy on jobs: new columns, and two indexes that are built while writes wait.
-- Whose turn it is. A row a lane and tenant (with an empty principal), and one a principal of it, from the first job that waits
-- until it is seen that none does. What was used up is written about once in two seconds, so that these rows stay few and young.
create table turns (
    lane       text not null,
    tenant     text not null check (tenant <> ''),
    principal  text not null,
    -- Milliseconds of run time by weight. Whoever has the least is next.
    pass       double precision not null default 0 check (pass >= 0),
    weight     double precision not null default 1 check (weight > 0),
    -- Nobody has seen a job wait for it lately.
    idle       boolean not null default false,
    changed_at timestamptz not null default now(),
    primary key (lane, tenant, principal)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
create index turns_of_tenants on turns (lane, tenant) where principal = '' and not idle;
create index turns_of_principals on turns (lane, tenant, principal) where principal <> '' and not idle;
create index turns_idle on turns (changed_at) where idle;

-- What is paused: by an operator of a tenant for its jobs, or with an empty tenant for everybody's.
create table pauses (
    tenant    text not null,
    kind      text not null check (kind in ('lane', 'report', 'source', 'tenant')),
    name      text not null check (name <> ''),
    paused_by text not null,
    since     timestamptz not null default now(),
    primary key (tenant, kind, name)
);

alter table jobs
    -- The job whose doorbell this attempt was claimed for, where that is another one: its message stands for this run.
    add column rung_by uuid,
    -- The pause that keeps it waiting, `<tenant>/<kind>:<name>`. It is then as if it had been rung in the year 9999, and nobody looks at it.
    add column set_aside text;
-- Who is next of a principal.
create index jobs_turns on jobs (lane, tenant, principal, created_at)
    where state = 'pending' and leader_id is null and crashes < 2 and set_aside is null;
-- Of its state nothing is said, so that no index by states looks as good to the planner.
create index jobs_set_aside on jobs (set_aside) where set_aside is not null;

-- Where the rows of a report version come from. Null: a version before this one kept it.
alter table report_versions add column source text;
create index report_versions_of_source on report_versions (source) where source is not null;

insert into turns (lane, tenant, principal)
    select distinct lane, tenant, p from jobs cross join lateral (values (''), (principal)) v(p)
    where state = 'pending' and leader_id is null;
