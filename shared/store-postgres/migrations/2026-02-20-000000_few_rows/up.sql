-- Upgrade: heavy on jobs, deliveries: indexes for which the tables are read while writes wait.
-- What is asked all the time reads few rows, however many jobs wait, have ended or are gone. Rows that are gone count too: while any
-- transaction of the cluster stays open none of them can be cleared, and an index of a state that every job passes through holds
-- an entry for every job since then.

-- What a worker said at its newest beat that it holds. Whatever it holds and claimed before `held_since` is in `held`; what it
-- claimed later is found by the index below. Null: a version that does not say.
alter table workers
    add column held       uuid[],
    add column held_since timestamptz;

create index jobs_held on jobs (worker_id, started_at) where state = 'processing';
drop index jobs_processing;

-- Workers whose row has gone, until it is seen that they hold no job. Nobody can claim without a row.
create table gone_workers (
    id      uuid primary key,
    gone_at timestamptz not null default now()
);
create function waitless_note_gone_worker() returns trigger
    language plpgsql
    as $$
    begin
        insert into gone_workers (id) values (old.id) on conflict do nothing;
        return null;
    end
    $$;
create trigger workers_gone after delete on workers for each row execute function waitless_note_gone_worker();
insert into gone_workers (id)
    select distinct j.worker_id from jobs j
    where j.state = 'processing' and j.leader_id is null and not exists (select from workers w where w.id = j.worker_id);

-- Lists by state, report or both: newest first within each pair of them. Counts of a tenant's unfinished jobs too.
create index jobs_listed on jobs (tenant, state, report, id);
drop index jobs_unfinished;
-- Seen as cancelled, whatever their state is.
create index jobs_withdrawn on jobs (tenant, id) where withdrawn_at is not null;
-- The follower of a leader that is furthest behind, in each state.
create index jobs_behind on jobs (leader_id, state, attempt)
    where leader_id is not null and state in ('pending', 'processing', 'retrying');
drop index jobs_following;
-- Whatever was not sent, newest first: most deliveries were.
create index deliveries_unsent on deliveries (tenant, state, id) where state <> 'sent';

-- The version before puts a row that could not be published back to the time it was written, where this version does not look any
-- more.
create function waitless_lease_from_now() returns trigger
    language plpgsql
    as $$
    begin
        new.leased_until := now();
        return new;
    end
    $$;
create trigger outbox_lease_from_now before update on outbox for each row
    when (new.leased_until < old.leased_until and new.leased_until < now()) execute function waitless_lease_from_now();
