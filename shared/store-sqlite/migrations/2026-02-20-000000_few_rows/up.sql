-- Upgrade: heavy on jobs, deliveries: indexes for which the tables are read while writes wait.
-- Lists by state, report or both: newest first within each pair of them. Counts of a tenant's unfinished jobs too.
create index jobs_listed on jobs (tenant, state, report, id);
drop index jobs_unfinished;
-- Seen as cancelled, whatever their state is.
create index jobs_withdrawn on jobs (tenant, id) where withdrawn_at is not null;
-- Whatever was not sent, newest first: most deliveries were.
create index deliveries_unsent on deliveries (tenant, state, id) where state <> 'sent';
