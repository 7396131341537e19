drop trigger outbox_lease_from_now on outbox;
drop function waitless_lease_from_now();
drop index deliveries_unsent;
create index jobs_following on jobs (leader_id)
    where leader_id is not null and state in ('pending', 'processing', 'retrying');
drop index jobs_behind;
drop index jobs_withdrawn;
create index jobs_unfinished on jobs (tenant, lane, state) where state in ('pending', 'processing', 'retrying');
drop index jobs_listed;
drop trigger workers_gone on workers;
drop function waitless_note_gone_worker();
drop table gone_workers;
create index jobs_processing on jobs (worker_id) where state = 'processing';
drop index jobs_held;
alter table workers drop column held, drop column held_since;
