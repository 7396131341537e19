drop table api_keys, workers, deliveries, links, artifacts, outbox, events, idempotency, jobs, report_versions;
drop function waitless_uuid_v7();
drop function waitless_lock_is_free(uuid);
drop function waitless_lock_key(uuid);
