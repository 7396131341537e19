drop index deliveries_unsent;
drop index jobs_withdrawn;
create index jobs_unfinished on jobs (tenant, lane, state) where state in ('pending', 'processing', 'retrying');
drop index jobs_listed;
