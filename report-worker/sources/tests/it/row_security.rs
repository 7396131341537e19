//! The database limits the rows by who asks: its policies are told, for one read and no longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use configuration::{Secret, Source as Settings};
use model::artifact::Format;
use model::attributes::Attributes;
use model::finding::{FindingLevel, Findings};
use model::job::Caller;
use model::problem::{Problem, ProblemKind};
use report::ReportDefinition;
use serde_json::{Value, json};
use sources::{ReadRequest, Source};
use testing::postgres::{self, Pooler};

use crate::source::{report, request};

const SETUP: &str = "
    create table sale (id int, tenant text, owner text, region text);
    insert into sale values (1, 'acme', 'ana', 'EU'), (2, 'acme', 'ben', 'US'), (3, 'globex', 'ana', 'EU'), (4, 'acme', 'ana', 'US');
    alter table sale enable row level security;
    create policy own on sale for select using (
        tenant = current_setting('waitless.tenant', true) and owner = current_setting('waitless.principal', true)
        and region = (nullif(current_setting('waitless.attributes', true), '')::jsonb ->> 'region'));
    grant select on sale to public;";

/// A database with policies, and a login that they hold for. Roles are the server's: each database has its own.
struct Secured {
    database: postgres::Database,
    login: String,
    role: String,
    url: String,
}

impl Secured {
    async fn make() -> Self {
        let database = postgres::fresh_database().await.unwrap();
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let (login, role) = (format!("reader_{unique}"), format!("wide_{unique}"));
        let roles = format!(
            "create role {login} login password 'secret' noinherit; create role {role}; grant {role} to {login};
             create policy wide on sale for select to {role} using (region = 'EU');"
        );
        database.sql(&format!("{SETUP}{roles}")).await.unwrap();
        let (_, rest) = database.url().split_once('@').unwrap();
        let url = format!("postgres://{login}:secret@{rest}");
        Self { database, login, role, url }
    }

    fn settings(&self) -> Settings {
        Settings { row_level_security: true, ..Settings::at(&self.url) }
    }

    fn open(settings: &Settings) -> Arc<dyn Source> {
        sources::open(settings).unwrap()
    }

    async fn remove(self) {
        let Self { database, login, role, .. } = self;
        database.sql(&format!("drop owned by {login}, {role}; drop role {login}, {role}")).await.unwrap();
    }
}

fn sales(rest: &str) -> Arc<ReportDefinition> {
    report("select id from sale order by id", &format!("row_level_security = true\n{rest}"))
}

fn asking(report: &Arc<ReportDefinition>, tenant: &str, principal: &str, known: Value) -> ReadRequest {
    let caller = Caller { tenant: tenant.to_owned(), principal: principal.to_owned() };
    let known: serde_json::Map<_, _> = serde_json::from_value(known).unwrap();
    let attributes = Attributes::new(known).unwrap();
    ReadRequest { caller, attributes, ..request(report, "{}") }
}

async fn csv(source: &dyn Source, request: ReadRequest) -> Result<String, Problem> {
    use formats::{FileSummary, writer};
    let mut reading = source.read(request).await?;
    let (mut writer, mut out, mut rows) = (writer(Format::Csv, &Arc::default()), Vec::new(), 0);
    writer.begin(reading.schema(), &mut out).unwrap();
    while let Some(batch) = reading.next().await? {
        rows += batch.num_rows();
        writer.write(&batch, &mut out).unwrap();
    }
    writer.finish(FileSummary { rows: rows as u64, complete: true }, &mut out).unwrap();
    Ok(String::from_utf8(out).unwrap().lines().skip(1).collect::<Vec<_>>().join(","))
}

/// Who asks, and which rows of one report they get.
const MATRIX: [(&str, &str, &str, &str); 6] = [
    ("acme", "ana", "EU", "1"),
    ("acme", "ana", "US", "4"),
    ("acme", "ben", "US", "2"),
    ("acme", "ben", "EU", ""),
    ("globex", "ana", "EU", "3"),
    ("globex", "o'brien\"--", "EU", ""),
];

async fn everybody_gets_their_rows(source: &dyn Source) {
    for kind in ["exact", "estimate", "unknown"] {
        let report = sales(&format!("total = \"{kind}\"\n"));
        // By turns on connections that others used.
        for (tenant, principal, region, expected) in MATRIX.into_iter().chain(MATRIX.into_iter().rev()) {
            let rows = csv(source, asking(&report, tenant, principal, json!({"region": region}))).await;
            assert_eq!(rows.unwrap(), expected, "{tenant} {principal} {region} {kind}");
        }
        assert_eq!(csv(source, asking(&report, "acme", "ana", json!({}))).await.unwrap(), "", "nothing known: no rows");
    }
}

#[tokio::test]
async fn one_report_has_other_rows_for_everybody_who_asks() {
    let secured = Secured::make().await;
    let source = Secured::open(&secured.settings());
    everybody_gets_their_rows(source.as_ref()).await;
    // Bound parameters and attributes take another way through the protocol.
    let bound = report(
        "select id from sale where id > :least and region = :attribute.region order by id",
        "row_level_security = true\n[params.least]\ntype = \"integer\"\nsensitive = true\ndefault = 0\n[attributes.region]\ntype = \"text\"\n",
    );
    for (tenant, principal, region, expected) in MATRIX {
        let rows = csv(source.as_ref(), asking(&bound, tenant, principal, json!({"region": region}))).await;
        assert_eq!(rows.unwrap(), expected, "{tenant} {principal} {region}");
    }
    // All at once, on as many connections.
    let report = sales("");
    let all = MATRIX.into_iter().cycle().take(24).map(async |(tenant, principal, region, expected)| {
        let rows = csv(source.as_ref(), asking(&report, tenant, principal, json!({"region": region}))).await;
        assert_eq!(rows.unwrap(), expected, "{tenant} {principal} {region}");
    });
    futures_util::future::join_all(all).await;
    drop(source);
    secured.remove().await;
}

#[tokio::test]
async fn behind_a_pooler_that_mixes_sessions_everybody_gets_their_rows() {
    let secured = Secured::make().await;
    let pooler = Pooler::start(&secured.url, 2).await.unwrap();
    let source = Secured::open(&Settings { row_level_security: true, ..Settings::at(pooler.url()) });
    everybody_gets_their_rows(source.as_ref()).await;
    drop(source);
    drop(pooler);
    secured.remove().await;
}

#[tokio::test]
async fn nothing_that_a_report_says_of_who_asks_reaches_the_next_one() {
    let secured = Secured::make().await;
    let mut settings = secured.settings();
    settings.role = Some(secured.role.clone());
    let sources = [Secured::open(&secured.settings()), Secured::open(&settings)];
    let facts = "select current_setting('waitless.tenant', true) as t, current_setting('waitless.principal', true) as p,
        current_setting('waitless.attributes', true) as a, current_user::text = session_user::text as l, count(*) as n from sale";
    let innocent = report(facts, "row_level_security = true\n");
    let hostile = [
        "select set_config('waitless.tenant', 'globex', false) as v",
        "select set_config('waitless.principal', 'ben', false) as v, set_config('waitless.attributes', '{}', false) as w",
        "select set_config('role', 'none', false) as v",
        "select set_config('role', 'none', true) as v, pg_advisory_lock(7) is null as l",
        "select set_config('row_security', 'off', false) as v",
        "set waitless.tenant = 'globex'",
        "set role none",
        "select 1 / (select count(*) from sale where false) as v",
    ];
    for source in &sources {
        let ask =
            async || csv(source.as_ref(), asking(&innocent, "acme", "ana", json!({"region": "EU"}))).await.unwrap();
        let before = ask().await;
        assert!(before.starts_with("acme,ana,\"{\"\"region\"\":\"\"EU\"\"}\""), "{before}");
        for sql in hostile {
            let wrong = report(sql, "row_level_security = true\n");
            let _refused = csv(source.as_ref(), asking(&wrong, "globex", "eve", json!({"region": "US"}))).await;
            for _ in 0..5 {
                assert_eq!(ask().await, before, "{sql}");
            }
        }
    }
    // A connection that nobody reads with knows nobody.
    let left = secured.database.sql("select current_setting('waitless.tenant', true)").await.unwrap();
    assert!(left[0][0].as_deref().is_none_or(str::is_empty));
    drop(sources);
    secured.remove().await;
}

#[tokio::test]
async fn a_query_runs_as_the_role_of_the_settings_or_of_the_attribute_and_as_no_other() {
    let secured = Secured::make().await;
    let report = report("select current_user::text as who, id from sale order by id", "row_level_security = true\n");
    let wide = |id: u8| format!("{},{id}", secured.role);
    let (own, login) = (secured.settings(), &secured.login);
    let fixed = Secured::open(&Settings { role: Some(secured.role.clone()), ..own.clone() });
    let ask = |known| asking(&report, "acme", "ana", known);
    assert_eq!(csv(fixed.as_ref(), ask(json!({"region": "EU"}))).await.unwrap(), format!("{},{}", wide(1), wide(3)));
    let chosen = Secured::open(&Settings {
        role_attribute: Some("db_role".to_owned()),
        roles: vec![secured.role.clone(), login.clone()],
        ..own.clone()
    });
    let of = |role: &str| ask(json!({"db_role": role, "region": "EU"}));
    assert_eq!(csv(chosen.as_ref(), of(&secured.role)).await.unwrap(), format!("{},{}", wide(1), wide(3)));
    assert_eq!(csv(chosen.as_ref(), of(login)).await.unwrap(), format!("{login},1"));
    for role in ["postgres", "none", "", "x; reset role"] {
        let problem = csv(chosen.as_ref(), of(role)).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::QueryFailed);
        assert!(problem.detail.contains("`db_role`"), "{problem}");
    }
    assert!(csv(chosen.as_ref(), ask(json!({}))).await.unwrap_err().detail.contains("do not say it"));
    // A role that was never granted is refused by the server.
    let other = Secured::open(&Settings { role: Some("pg_monitor".to_owned()), ..own });
    assert_eq!(csv(other.as_ref(), ask(json!({}))).await.unwrap_err().kind, ProblemKind::QueryFailed);
    drop((fixed, chosen, other));
    secured.remove().await;
}

#[tokio::test]
async fn a_role_that_passes_by_policies_reads_nothing() {
    let secured = Secured::make().await;
    // The tests' own user is a superuser.
    let source = Secured::open(&Settings { row_level_security: true, ..Settings::at(secured.database.url()) });
    let problem = csv(source.as_ref(), asking(&sales(""), "acme", "ana", json!({"region": "EU"}))).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("passes by row-level security"), "{problem}");
    let lowered = Secured::open(&Settings {
        row_level_security: true,
        role: Some(secured.role.clone()),
        ..Settings::at(secured.database.url())
    });
    let rows = csv(lowered.as_ref(), asking(&sales(""), "acme", "ana", json!({}))).await.unwrap();
    assert_eq!(rows, "1,3", "policies hold for the role it takes");
    drop((source, lowered));
    secured.remove().await;
}

#[tokio::test]
async fn what_a_policy_says_of_an_attribute_is_withheld() {
    let secured = Secured::make().await;
    let strict = "create table strict (id int); insert into strict values (1); alter table strict enable row level security;
        create policy p on strict using ((current_setting('waitless.attributes')::jsonb ->> 'level')::int > 0); grant select on strict to public";
    secured.database.sql(strict).await.unwrap();
    let source = Secured::open(&secured.settings());
    let report = report("select id from strict", "row_level_security = true\n");
    let problem = csv(source.as_ref(), asking(&report, "acme", "ana", json!({"level": "hunter2"}))).await.unwrap_err();
    assert!(problem.detail.contains("withheld") && !problem.detail.contains("hunter2"), "{problem}");
    assert_eq!(csv(source.as_ref(), asking(&report, "acme", "ana", json!({"level": 1}))).await.unwrap(), "1");
    drop(source);
    secured.remove().await;
}

#[tokio::test]
async fn what_stands_against_policies_is_found_before_a_job_does() {
    let secured = Secured::make().await;
    let found = async |settings: &Settings| {
        let mut findings = Findings::default();
        sources::diagnose(settings, &mut findings).await;
        findings.into_vec().into_iter().map(|finding| (finding.level, finding.what)).collect::<Vec<_>>()
    };
    let has = |found: &[(FindingLevel, String)], level: FindingLevel, words: &str| {
        assert!(found.iter().any(|(of, what)| *of == level && what.contains(words)), "{words} in {found:?}");
    };
    let own = secured.settings();
    let good = found(&own).await;
    has(&good, FindingLevel::Ok, "policies hold for its user");
    has(&good, FindingLevel::Ok, "1 of its tables have row-level security");
    let superuser = Settings { row_level_security: true, ..Settings::at(secured.database.url()) };
    has(&found(&superuser).await, FindingLevel::Fail, "its user passes by row-level security");
    let role = |role: &str| Settings { role: Some(role.to_owned()), ..own.clone() };
    has(&found(&role("nobody_here")).await, FindingLevel::Fail, "`nobody_here` is not there");
    has(&found(&role("pg_monitor")).await, FindingLevel::Fail, "cannot be taken");
    has(&found(&role(&secured.role)).await, FindingLevel::Ok, "policies hold for the role");
    let (role_attribute, roles) = (Some("r".to_owned()), vec![secured.role.clone(), "nobody_here".to_owned()]);
    let chosen = found(&Settings { role_attribute, roles, ..own.clone() }).await;
    has(&chosen, FindingLevel::Fail, "`nobody_here` is not there");
    has(&chosen, FindingLevel::Ok, "policies hold for the role");
    secured.database.sql(&format!("alter table sale owner to {}", secured.login)).await.unwrap();
    has(&found(&own).await, FindingLevel::Warn, "owns tables");
    secured
        .database
        .sql("alter table sale owner to current_user; alter table sale disable row level security")
        .await
        .unwrap();
    has(&found(&own).await, FindingLevel::Warn, "no table of it has row-level security");
    secured.remove().await;
}

#[tokio::test]
async fn report_and_source_must_agree_on_who_limits_the_rows() {
    let secured = Secured::make().await;
    let open = |settings: Settings| sources::Sources::open(&BTreeMap::from([("test".to_owned(), settings)])).unwrap();
    let (strict, plain) = (open(secured.settings()), open(Settings::at(&secured.url)));
    let careless = report("select id from sale", "");
    let problem = strict.read(asking(&careless, "acme", "ana", json!({}))).await.unwrap_err();
    assert!(problem.detail.contains("write `row_level_security = true` into the report"), "{problem}");
    let problem = plain.read(asking(&sales(""), "acme", "ana", json!({}))).await.unwrap_err();
    assert!(problem.detail.contains("sources.test.row_level_security"), "{problem}");
    assert!(strict.read(asking(&sales(""), "acme", "ana", json!({}))).await.is_ok());
    drop((strict, plain));
    for url in ["sqlite:a.db", "mysql://h/d"] {
        let settings = Settings { url: Secret::new(url), row_level_security: true, ..Settings::default() };
        assert!(sources::open(&settings).unwrap_err().detail.contains("has no row-level security"));
        assert!(sources::check_secured_url(url).is_err());
    }
    secured.remove().await;
}
