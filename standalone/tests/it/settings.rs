//! Every setting, wrong in every way that can be thought of: told with its key, in our words, and all at once.

use std::collections::BTreeSet;

use configuration::DEFAULTS;

use crate::service::{Sandbox, output_text};

/// Wrong values, by setting. A setting that is not here fails the test: whoever adds one says what is wrong for it.
const WRONG: &[(&str, &[&str])] = &[
    ("service.mode", &["prod", ""]),
    ("service.data_dir", &["a\nb"]),
    (
        "service.public_url",
        &[
            "example.com",
            "ftp://example.com",
            "https://",
            "https://example.com?a=1",
            "https://example.com/#top",
            "https://ana:hunter2@example.com",
            "https://example.com:99999",
            "https://exa mple.com",
        ],
    ),
    ("service.link_secret", &["short"]),
    (
        "service.seal_keys",
        &[
            "short",
            "a key of 32 bytes, parted in two",
            "thirty-two-bytes-that-come-twice,thirty-two-bytes-that-come-twice",
        ],
    ),
    ("service.time_zone", &["Berlin", ""]),
    ("service.shutdown_grace", &["soon", "0s", "-1s", "30", "99999d"]),
    ("http.listen", &["8080", "localhost:8080", "127.0.0.1:99999", ""]),
    ("http.threads", &["-1", "many", "99999999999999999999999"]),
    ("http.max_body", &["big", "0", "-1"]),
    ("http.cors_origins", &["app.example.com", "https://app.example.com/", "https://app.example.com/path", "null"]),
    ("http.trusted_proxies", &["10.0.0.0/33", "proxy.example.com", "::/129", "10.0.0.0/x"]),
    ("http.max_unfinished_jobs", &["0", "-5", "1.5", "99999999999"]),
    ("http.submits_per_second", &["-1", "fast"]),
    ("http.max_watchers_per_principal", &["0", "x"]),
    ("http.max_watchers", &["0", "x"]),
    ("http.ping_every", &["0s", "x"]),
    ("http.close_after", &["x", "-1s"]),
    ("http.status_page", &["perhaps", ""]),
    ("http.max_page", &["0", "x"]),
    ("http.max_wait", &["0s", "x"]),
    ("database.url", &["oracle://u:hunter2@h/d", "postgres://u:hunter2@h:99999/d", "sqlite:", "data.db"]),
    ("database.pool", &["1", "x"]),
    ("database.acquire_timeout", &["0s", "x"]),
    ("database.statement_timeout", &["0s", "x"]),
    ("database.ca_file", &["/does/not/exist.pem", "/dev/null"]),
    ("database.migrate", &["perhaps", ""]),
    ("broker.url", &["kafka://h", "amqp://u:hunter2@h:99999", "amqp://", "h:5672"]),
    ("broker.ca_file", &["/does/not/exist.pem", "/dev/null"]),
    ("broker.heartbeat", &["0s", "x"]),
    ("broker.timeout", &["0s", "x"]),
    ("broker.retry_delays", &["", "5s,soon", "30s,5s"]),
    ("broker.delivery_limit", &["0", "x"]),
    ("broker.hand_off_after", &["0s", "x"]),
    ("storage.url", &["ftp://h/d", "s3://", "file:", "bucket"]),
    (
        "storage.endpoint",
        &["minio:9000", "minio", "ftp://minio", "http://u:hunter2@minio", "http://minio:99999", "http://minio?x"],
    ),
    ("storage.region", &["eu central 1"]),
    ("storage.access_key_id", &["a key", "alone"]),
    ("storage.secret_access_key", &["hunter2"]),
    ("storage.sign_for", &["0s", "x", "8d"]),
    ("storage.proxy_downloads", &["perhaps"]),
    ("storage.part_size", &["1MiB", "6GiB", "x"]),
    ("storage.upload_concurrency", &["0", "x"]),
    ("storage.timeout", &["0s", "x"]),
    ("mail.url", &["imap://h", "smtp://u:hunter2@h:99999", "smtp://", "mail.example.com"]),
    ("mail.ca_file", &["/does/not/exist.pem", "/dev/null"]),
    ("mail.from", &["not an address", "", "Reports <reports>", "a@b.example, c@d.example", "Reports <a@b.example"]),
    ("mail.allow", &["example.com", "@", "*.example.com"]),
    ("mail.recipients_per_day", &["-1", "many"]),
    ("mail.timeout", &["0s", "x"]),
    ("mail.late_after", &["soon", "-1s"]),
    ("mail.brand", &["", "a\nb"]),
    ("mail.color", &["blue", "#ffcc00"]),
    ("mail.logo", &["http://x/y.png", "logo.svg"]),
    ("mail.language", &["it", ""]),
    ("mail.time_zone", &["Berlin", ""]),
    ("worker.lanes", &["fast", ""]),
    ("worker.concurrency", &["0", "x", "99999"]),
    ("worker.heartbeat", &["0s", "x"]),
    ("worker.max_timeout", &["0s", "x"]),
    ("worker.max_rows", &["0", "x"]),
    ("worker.max_bytes", &["0", "x"]),
    ("worker.memory", &["0", "x"]),
    ("worker.fonts", &["/does/not/exist.ttf"]),
    ("worker.progress_every", &["0s", "x"]),
    ("worker.end_when_idle", &["x", "-1s"]),
    ("worker.pod", &["two words"]),
    ("worker.pod_cost_every", &["0s", "x"]),
    ("worker.kubernetes_url", &["kubernetes:443", "https://u:hunter2@h"]),
    ("worker.kubernetes_account", &["a\nb"]),
    ("notifier.concurrency", &["0", "x"]),
    ("notifier.max_attempts", &["0", "x"]),
    ("sweeper.every", &["0s", "x"]),
    ("sweeper.grace", &["0s", "x"]),
    ("sweeper.ring_rate", &["0", "x"]),
    ("sweeper.orphan_grace", &["0s", "x"]),
    ("sweeper.idempotency_retention", &["0s", "x"]),
    ("sweeper.click_retention", &["0s", "x"]),
    ("sweeper.usage_retention", &["0s", "x"]),
    ("sweeper.job_retention", &["x", "-1s"]),
    ("sweeper.audit_retention", &["x", "-1s"]),
    ("catalogue.folder", &["/does/not/exist", "/dev/null"]),
    ("catalogue.reload_every", &["0s", "x"]),
    ("quotas.unfinished_jobs", &["-1", "x"]),
    ("quotas.jobs_per_day", &["-1", "x"]),
    ("quotas.rows_per_day", &["-1", "x"]),
    ("quotas.bytes_per_day", &["-1", "much"]),
    ("quotas.recipients_per_job", &["-1", "x"]),
    ("quotas.recipients_per_day", &["-1", "x"]),
    ("quotas.links_per_day", &["-1", "x"]),
    ("quotas.principal_unfinished_jobs", &["-1", "x"]),
    ("quotas.principal_jobs_per_day", &["-1", "x"]),
    ("quotas.principal_rows_per_day", &["-1", "x"]),
    ("quotas.principal_bytes_per_day", &["-1", "much"]),
    ("quotas.principal_recipients_per_day", &["-1", "x"]),
    ("quotas.principal_links_per_day", &["-1", "x"]),
    ("telemetry.listen", &["9090", "localhost:9090", "127.0.0.1:99999"]),
    ("telemetry.log", &["loud=very=much"]),
    ("telemetry.log_format", &["xml", ""]),
    ("telemetry.log_repeats", &["x", "-1s"]),
    // Without telemetry.listen.
    ("telemetry.profiling", &["perhaps", "true"]),
    ("telemetry.otlp_endpoint", &["collector:4318", "grpc://collector", "http://collector:99999", "http://c#x"]),
    ("telemetry.service_name", &["", "a\nb"]),
    ("sources.shop.url", &["", "oracle://u:hunter2@h/d", "mysql://u:hunter2@h:99999/d", "sqlite:"]),
    ("sources.shop.max_connections", &["-1", "x"]),
    ("sources.shop.max_running", &["-1", "x"]),
    ("tenants.acme.max_running", &["-1", "x"]),
    ("calendars.de.dates", &["25.12.2026", "2026-02-30"]),
    ("calendars.de.file", &["/does/not/exist.ics", "/dev/null"]),
    ("tenants.acme.brand", &["", "a\nb"]),
    ("tenants.acme.color", &["blue"]),
    ("tenants.acme.logo", &["logo.svg"]),
    ("tenants.acme.language", &["it"]),
    ("tenants.acme.time_zone", &["Berlin"]),
    (
        "oidc.staff.issuer",
        &[
            "",
            "login.example.com",
            "http://login.example.com",
            "https://h?a=1",
            "https://ana:hunter2@login.example.com",
        ],
    ),
    ("oidc.staff.title", &["a\nb"]),
    ("oidc.staff.audience", &[""]),
    ("oidc.staff.algorithms", &["HS256", "none", "", "ES256,RS257"]),
    ("oidc.staff.leeway", &["soon", "6m"]),
    ("oidc.staff.allow_http", &["perhaps"]),
    ("oidc.staff.ca_file", &["/does/not/exist.pem", "/dev/null"]),
    ("oidc.staff.tenant", &["a b", ""]),
    ("oidc.staff.tenant_claim", &["a\nb", "org"]),
    ("oidc.staff.tenant_prefix", &["a\nb"]),
    ("oidc.staff.tenants", &["a b", "acme"]),
    ("oidc.staff.principal_claim", &[""]),
    ("oidc.staff.principal_prefix", &["a b", "a\nb"]),
    ("oidc.staff.scopes", &["mint", "everything"]),
    ("oidc.staff.scopes_claim", &["a\nb"]),
    ("oidc.staff.scopes_prefix", &["a\nb"]),
    ("oidc.staff.groups_claim", &["a\nb"]),
    ("oidc.staff.group_scopes", &["staff", "staff = mint"]),
    ("oidc.staff.roles", &["a b"]),
    ("oidc.staff.roles_claim", &["a\nb"]),
    ("oidc.staff.roles_prefix", &["a\nb"]),
    ("oidc.staff.group_roles", &["staff", "staff = a/b"]),
    ("oidc.staff.attributes", &["region", "Region = region", "region = a b", "region = a,region = b"]),
    ("oidc.staff.client_id", &["two words"]),
    ("oidc.staff.sign_in_scopes", &["profile"]),
    ("oidc.staff.sign_in_token", &["refresh_token", ""]),
    ("oidc.staff.session_ttl", &["0s", "8d"]),
    ("oidc.staff.owner_for", &["0s", "400d"]),
    (
        "webhooks.erp.url",
        &[
            "",
            "erp.example.com",
            "http://erp.example.com",
            "ftp://erp.example.com",
            "https://ana:hunter2@erp.example.com",
            "https://erp.example.com/#top",
            "https://127.0.0.1/hooks",
            "https://[::ffff:10.0.0.1]/hooks",
            "https://169.254.169.254/latest",
        ],
    ),
    (
        "webhooks.erp.secrets",
        &[
            "",
            "hunter2",
            "whsec_hunter2",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ],
    ),
    ("webhooks.erp.tenants", &["", "a b"]),
    ("webhooks.erp.allow_http", &["perhaps"]),
    ("webhooks.erp.allow_private", &["perhaps"]),
    ("webhooks.erp.ca_file", &["/does/not/exist.pem", "/dev/null"]),
    ("webhooks.erp.timeout", &["0s", "2m"]),
    ("webhooks.erp.concurrency", &["0", "x"]),
    ("webhooks.erp.retry_delays", &["soon", "5m,5s", ""]),
    ("webhooks.erp.max_attempts", &["0", "x"]),
];

/// Words of the library that reads settings, which mean nothing to who writes them.
const NOT_OUR_WORDS: [&str; 6] =
    ["invalid type", "invalid value", "unknown variant", "missing field", "expected", "did not match"];

/// Runs `waitless config` with these settings and returns its lines.
async fn refuse(settings: &[(&str, &str)]) -> Vec<String> {
    let sandbox = Sandbox::empty();
    let mut command = sandbox.command(&["config"]);
    let needed = [
        ("sources.shop.url", "sqlite:shop.db"),
        ("tenants.acme.brand", "Acme"),
        ("storage.url", "s3://bucket"),
        ("oidc.staff.issuer", "https://login.example.com"),
        ("oidc.staff.audience", "reports"),
        ("oidc.staff.tenant", "acme"),
        ("oidc.staff.scopes", "read"),
        ("oidc.staff.client_id", "waitless"),
        ("webhooks.erp.url", "https://erp.example.com/hooks"),
        ("webhooks.erp.secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("webhooks.erp.tenants", "acme"),
    ];
    for (key, value) in needed.iter().chain(settings) {
        command.env(format!("WAITLESS_{}", key.to_uppercase().replace('.', "__")), value);
    }
    let output = command.output().await.unwrap();
    let said = output_text(&output);
    assert_eq!(output.status.code(), Some(1), "{settings:?} is taken for good: {said}");
    assert!(!said.contains("hunter2"), "{said}");
    said.lines().map(str::to_owned).collect()
}

fn is_told(lines: &[String], key: &str) -> bool {
    lines.iter().any(|line| line.trim_start().starts_with(&format!("{key}: ")))
}

#[tokio::test]
async fn every_wrong_value_of_every_setting_is_told_by_its_key_in_our_words() {
    for (key, values) in WRONG {
        let refused = values.iter().map(async |value| (value, refuse(&[(key, value)]).await));
        for (value, lines) in futures_util::future::join_all(refused).await {
            // Half of a key is missed where the other half is.
            let told = is_told(&lines, key) || (key.starts_with("storage.") && key.contains("access_key"));
            assert!(told, "{key} = {value:?}: {lines:?}");
            let foreign = NOT_OUR_WORDS.iter().find(|words| lines.iter().any(|line| line.contains(*words)));
            assert_eq!(foreign, None, "{key} = {value:?}: {lines:?}");
        }
    }
}

#[tokio::test]
async fn all_wrong_values_are_told_at_once() {
    let wrong: Vec<(&str, &str)> = WRONG
        .iter()
        .map(|(key, values)| (*key, values[0]))
        // Each of these is wrong only beside another one that is right.
        .filter(|(key, _)| !matches!(*key, "storage.secret_access_key"))
        .collect();
    let lines = refuse(&wrong).await;
    let untold: Vec<&str> = wrong.iter().map(|(key, _)| *key).filter(|key| !is_told(&lines, key)).collect();
    assert_eq!(untold, [""; 0], "{lines:#?}");
}

#[tokio::test]
async fn a_list_where_one_value_belongs_and_the_other_way_round_are_told_in_our_words() {
    let sandbox = Sandbox::empty();
    for (key, _) in WRONG.iter().filter(|(key, _)| key.split('.').count() == 2) {
        let (section, name) = key.split_once('.').unwrap();
        let is_list = DEFAULTS.lines().any(|line| line.starts_with(&format!("{name} = ["))) && !key.ends_with(".url");
        for value in if is_list { ["{ a = 1 }", "[[1]]"] } else { ["[1, 2]", "{ a = 1 }"] } {
            sandbox.write("waitless.toml", &format!("[{section}]\n{name} = {value}\n"));
            let output = sandbox.output(&["config"]).await;
            let said = output_text(&output);
            assert_eq!(output.status.code(), Some(1), "{key} = {value}: {said}");
            assert!(said.contains(key), "{key} = {value}: {said}");
            assert!(!NOT_OUR_WORDS.iter().any(|words| said.contains(words)), "{key} = {value}: {said}");
        }
    }
}

#[test]
fn every_setting_has_wrong_values_here() {
    let walked: BTreeSet<&str> = WRONG.iter().map(|(key, _)| *key).collect();
    let mut section = "";
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with(['#', ' '])) {
            assert!(walked.contains(format!("{section}.{key}").as_str()), "{section}.{key} is not walked");
        }
    }
}

#[tokio::test]
async fn what_may_not_be_meant_is_told_as_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::empty();
    let secret = "[service]\nlink_secret = \"hunter2hunter2hunter2hunter2hunter2\"\n";
    sandbox.write("waitless.toml", secret);
    let set_mode = |mode| {
        std::fs::set_permissions(sandbox.path("waitless.toml"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let warnings = async || {
        let output = sandbox.output(&["config"]).await;
        assert!(output.status.success(), "{}", output_text(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    set_mode(0o644);
    let said = warnings().await;
    assert!(said.contains("service.link_secret") && said.contains("chmod o-r") && !said.contains("hunter2"), "{said}");
    set_mode(0o640);
    assert_eq!(warnings().await, "");
    sandbox.write("waitless.toml", "[http]\nmax_page = 5\n");
    set_mode(0o644);
    assert_eq!(warnings().await, "", "nothing in it is a secret");

    for (allow, told) in [("", "mail.allow is empty: nobody gets mail"), ("allow = [\"*\"]", "mail.allow holds \"*\"")]
    {
        sandbox.write("waitless.toml", &format!("[mail]\nurl = \"smtp://mail.example.com\"\n{allow}\n"));
        assert!(warnings().await.contains(told), "{allow}");
    }
    sandbox.write("waitless.toml", "[mail]\nurl = \"smtp://mail.example.com\"\nallow = [\"@example.com\"]\n");
    assert_eq!(warnings().await, "");
}

#[tokio::test]
async fn a_process_that_starts_logs_what_may_not_be_meant() {
    let sandbox = Sandbox::with_counting();
    sandbox.configure("[mail]\nurl = \"smtp://127.0.0.1:9\"\nallow = [\"*\"]\n");
    let service = sandbox.up().await;
    assert_eq!(service.stop().await, 0);
    let log = sandbox.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("mail.allow")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("WARN") && lines[0].contains("may have mail sent to anybody"), "{log}");
}
