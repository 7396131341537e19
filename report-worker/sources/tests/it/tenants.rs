//! Each tenant has a database or file of its own, on every kind of source, and never another's.

use std::collections::BTreeMap;

use configuration::{Secret, Source as Settings, TenantSource};
use model::job::Caller;
use model::problem::{Problem, ProblemKind};
use sources::{ReadRequest, Sources};
use testing::{mariadb, postgres};

use crate::source::{report, request};

/// Reads whose rows a tenant gets.
async fn whose(sources: &Sources, tenant: &str) -> Result<String, Problem> {
    let caller = Caller { tenant: tenant.to_owned(), principal: "ana".to_owned() };
    let report = report("select whose from t", "");
    let mut reading = sources.read(ReadRequest { caller, ..request(&report, "{}") }).await?;
    let batch = reading.next().await?.unwrap();
    let column = arrow_array::cast::AsArray::as_string::<i32>(batch.column(0)).value(0).to_owned();
    while reading.next().await?.is_some() {}
    Ok(column)
}

fn open(settings: Settings) -> Sources {
    Sources::open(&BTreeMap::from([("test".to_owned(), settings)])).unwrap()
}

/// `acme` and `globex` have a database each, `own` has one of another name in its own section, and nobody else has any.
async fn each_gets_their_own(by_name: &str, own: &str) {
    let mut settings = Settings::at(by_name);
    settings.tenants.insert("own".to_owned(), TenantSource { url: Secret::new(own) });
    let by_section = Settings { url: Secret::default(), ..settings.clone() };
    let sources = open(settings);
    for _ in 0..2 {
        for tenant in ["acme", "globex", "own"] {
            assert_eq!(whose(&sources, tenant).await.unwrap(), tenant);
        }
    }
    for stranger in ["initech", "..", "acme/../globex", "ACME", "acme?x=y", "{tenant}"] {
        let problem = whose(&sources, stranger).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::SourceUnknown, "{stranger}: {problem}");
        assert!(!problem.kind.may_pass(), "it is not tried again");
        assert!(problem.detail.contains("tenant"), "{problem}");
    }
    let sources = open(by_section);
    assert_eq!(whose(&sources, "own").await.unwrap(), "own");
    let problem = whose(&sources, "acme").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnknown);
    assert!(problem.detail.contains("add [sources.test.tenants.acme] with its url"), "{problem}");
}

fn rows(whose: &str) -> String {
    format!("create table t (whose varchar(20)); insert into t values ('{whose}')")
}

#[tokio::test]
async fn each_tenant_reads_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for tenant in ["acme", "globex", "own"] {
        let name = if tenant == "own" { "another.db".to_owned() } else { format!("shop_{tenant}.db") };
        rusqlite::Connection::open(folder.path().join(name)).unwrap().execute_batch(&rows(tenant)).unwrap();
    }
    let folder = folder.path().display();
    each_gets_their_own(&format!("sqlite:{folder}/shop_{{tenant}}.db"), &format!("sqlite:{folder}/another.db")).await;
}

#[tokio::test]
async fn each_tenant_reads_a_postgresql_database_of_their_own() {
    let server = postgres::fresh_database().await.unwrap();
    let own = postgres::fresh_database().await.unwrap();
    own.sql(&rows("own")).await.unwrap();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let url_of = |name: &str| {
        let (before, options) = server.url().split_once('?').unwrap_or((server.url(), ""));
        format!("{}/{name}?{options}", before.rsplit_once('/').unwrap().0)
    };
    for tenant in ["acme", "globex"] {
        let name = format!("t{unique}_{tenant}");
        server.sql(&format!("create database {name}")).await.unwrap();
        postgres::sql(&url_of(&name), &rows(tenant)).await.unwrap();
    }
    each_gets_their_own(&url_of(&format!("t{unique}_{{tenant}}")), own.url()).await;
    for tenant in ["acme", "globex"] {
        server.sql(&format!("drop database t{unique}_{tenant} with (force)")).await.unwrap();
    }
}

#[tokio::test]
async fn each_tenant_reads_a_mariadb_database_of_their_own() {
    let (server, own) = (mariadb::fresh_database().await.unwrap(), mariadb::fresh_database().await.unwrap());
    own.sql(&rows("own")).await.unwrap();
    let name = server.name();
    for tenant in ["acme", "globex"] {
        let of = format!("{name}_{tenant}");
        server
            .sql(&format!(
                "create database {of}; create table {of}.t (whose varchar(20)); insert into {of}.t values ('{tenant}')"
            ))
            .await
            .unwrap();
    }
    let (before, after) = server.url().rsplit_once(name).unwrap();
    each_gets_their_own(&format!("{before}{name}_{{tenant}}{after}"), own.url()).await;
    for tenant in ["acme", "globex"] {
        server.sql(&format!("drop database {name}_{tenant}")).await.unwrap();
    }
}
