//! Tables as full as they are after a while.

/// 100,000 jobs that wait and as many that are done, 10,000 dead, some that run and some that are to run again; with events, links,
/// files, deliveries and outbox rows.
pub(super) const FILL: &str = "
    set synchronous_commit = off;
    create temp table n as
        select n, waitless_uuid_v7() as id, case when n < 100000 then 'pending' when n < 200000 then 'done' when n < 210000 then 'failed'
               when n < 211000 then 'retrying' else 'cancelled' end as state, now() - (215000 - n) * interval '10 ms' as at
        from generate_series(0, 214999) n;
    insert into jobs (id, tenant, principal, report, report_version, lane, params, formats, notify, state, attempt, max_attempts,
                      timeout_ms, retention_ms, created_at, rung_at, started_at, finished_at, next_attempt_at, error, fingerprint)
        select id, 'acme', case when n % 7 = 0 then 'eve' else 'ana' end, 'report-' || n % 20, 'v', case when n % 4 = 0 then 'bulk'
               else 'interactive' end, '{}', '[\"csv\"]', '[]', state, (state <> 'pending')::int, 3, 60000, 86400000, at, at,
               case when state <> 'pending' then at end, case when state in ('done', 'failed', 'cancelled') then at end,
               case when state = 'retrying' then now() + interval '1 hour' end, case when state = 'failed' then
               json_build_object('type', 'https://waitless.dev/problems/internal', 'title', 't', 'status', 500, 'detail', 'd') end,
               case when state = 'done' then sha256(id::text::bytea) end
        from n;
    insert into events (job_id, seq, tenant, principal, kind, state, attempt) select id, 1, 'acme', 'ana', 'submitted', 'pending', 0 from n;
    insert into artifacts (id, job_id, attempt, format, object_key, filename, bytes, rows, sha256, complete, snapshot_at, expires_at, link_id)
        select id, id, 1, 'csv', id::text, 'f', 1, 1, repeat('ab', 32), true, now(), now() + interval '1 hour', id from n where state = 'done';
    insert into links (token_hash, artifact_id, tenant, expires_at) select sha256(id::text::bytea), id, 'acme', now() from n where state = 'done';
    insert into idempotency (tenant, principal, key, body_hash, job_id) select 'acme', 'ana', id::text, sha256(''), id from n where n % 4 = 0;
    insert into deliveries (id, job_id, tenant, event, seq, channel, recipient, state, sent_at)
        select id, id, 'acme', 'done', 2, 'email', 'a@b.c', case when n % 100 = 0 then 'failed' else 'sent' end, case when n % 100 <> 0 then at end
        from n where state = 'done';
    insert into audit_chains (tenant, number, hash) values ('full', 100000, sha256(''));
    insert into audit (tenant, number, id, at, act, subject, detail, outcome, count, who_hash, hash)
        select 'full', n + 1, id, at, 'sign_in', '', '', 'ok', 1, sha256(''), sha256('') from n where n < 100000;
    insert into audit_persons (tenant, number, part, principal, salt, body)
        select 'full', n + 1, 'who', 'p-' || n % 1000, '', '{}' from n where n < 100000;
    insert into clicks (token_hash, kind, agent, principal)
        select sha256(id::text::bytea), 'view', 'browser', 'p-' || n % 1000 from n where state = 'done';
    insert into gone_links (token_hash) select sha256(n::text::bytea) from n;
    insert into audit_queue (body) select json_build_object('id', id, 'tenant', 'full', 'act', 'sign_in', 'outcome', 'ok', 'count', 1, 'who',
        json_build_object('principal', 'ana'))::text from n where n < 5000;
    create table filled as select n, id from n;
    drop table n;";
