with job as (
    insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms, retention_ms, traceparent)
    values (waitless_uuid_v7(), 'bench', 'pgbench', 'trivial', 'sha256:0000000000000000000000000000000000000000000000000000000000000000', 'interactive',
            '{}', '["csv"]', '[]', 5, 1800000, 2592000000, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')
    returning id
), event as (
    insert into events (job_id, seq, tenant, principal, kind, state, attempt) select id, 1, 'bench', 'pgbench', 'submitted', 'pending', 0 from job
)
insert into outbox (id, kind, subject, queue, traceparent, leased_until)
select waitless_uuid_v7(), 'run-job', id, 'interactive', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', now() + interval '5 seconds' from job;
