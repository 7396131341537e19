-- Upgrade: heavy on jobs: a new column, and an index of finished jobs.
-- What the submit was told about position and time of arrival: `{"position", "eta": {"p10", "p50", "p90", "runs"}}`, in
-- milliseconds after `created_at`. Null where the gateway knew nothing, and for jobs of the version before.
alter table jobs add column forecast text check (json_valid(forecast));
-- Runs of a report for a tenant, newest first: what the next forecast is learned from.
create index jobs_done on jobs (tenant, report, finished_at) where state = 'done';
