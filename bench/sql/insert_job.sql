insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, max_attempts, timeout_ms, retention_ms, traceparent)
values (waitless_uuid_v7(), 'bench', 'pgbench', 'trivial', 'sha256:0000000000000000000000000000000000000000000000000000000000000000', 'interactive',
        '{}', '["csv"]', '[]', 5, 1800000, 2592000000, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
