-- Upgrade: heavy on deliveries: an index for which the table is read once while writes wait.
-- Failed deliveries that are sent again, all since a time. `rung_at` is when they failed.
create index deliveries_failed on deliveries (tenant, rung_at) where state = 'failed';
