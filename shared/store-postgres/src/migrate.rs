//! Brings the schema up to date: the embedded migrations, each in a transaction, one process at a time.

use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _, SimpleAsyncConnection as _};

use tokio_postgres::Client;

use super::connection::Connection;
use super::diagnose::rows;
use super::errors::Failure;
use store::{MigrationNote, PendingMigration, SCHEMA_TOO_OLD, SchemaState, StoreError};

/// Version and text, oldest first.
const MIGRATIONS: [(&str, &str); 22] = [
    ("20260101000000", include_str!("../migrations/2026-01-01-000000_first/up.sql")),
    ("20260102000000", include_str!("../migrations/2026-01-02-000000_previews/up.sql")),
    ("20260201000000", include_str!("../migrations/2026-02-01-000000_reuse/up.sql")),
    ("20260202000000", include_str!("../migrations/2026-02-02-000000_arrivals/up.sql")),
    ("20260203000000", include_str!("../migrations/2026-02-03-000000_clicks/up.sql")),
    ("20260204000000", include_str!("../migrations/2026-02-04-000000_made_from/up.sql")),
    ("20260205000000", include_str!("../migrations/2026-02-05-000000_lateness/up.sql")),
    ("20260206000001", include_str!("../migrations/2026-02-06-000001_lockless_workers/up.sql")),
    ("20260206000002", include_str!("../migrations/2026-02-06-000002_failed_deliveries/up.sql")),
    ("20260207000000", include_str!("../migrations/2026-02-07-000000_access/up.sql")),
    ("20260208000000", include_str!("../migrations/2026-02-08-000000_refusals/up.sql")),
    ("20260209000000", include_str!("../migrations/2026-02-09-000000_revoked_tokens/up.sql")),
    ("20260220000000", include_str!("../migrations/2026-02-20-000000_few_rows/up.sql")),
    ("20260301000000", include_str!("../migrations/2026-03-01-000000_turns/up.sql")),
    ("20260303000000", include_str!("../migrations/2026-03-03-000000_oidc/up.sql")),
    ("20260304000000", include_str!("../migrations/2026-03-04-000000_attributes/up.sql")),
    ("20260305000000", include_str!("../migrations/2026-03-05-000000_tenants/up.sql")),
    ("20260306000000", include_str!("../migrations/2026-03-06-000000_audit/up.sql")),
    ("20260307000000", include_str!("../migrations/2026-03-07-000000_removal/up.sql")),
    ("20260308000000", include_str!("../migrations/2026-03-08-000000_schedules/up.sql")),
    ("20260309000000", include_str!("../migrations/2026-03-09-000000_limits/up.sql")),
    ("20260311000000", include_str!("../migrations/2026-03-11-000000_catalogue_schedules/up.sql")),
];

/// Held while migrating ("waitless" in ASCII), so that two processes that start together do not both create the tables.
const LOCK: &str = "set local statement_timeout = 0; set local lock_timeout = '60s'; set local client_min_messages = warning; \
                    select pg_advisory_xact_lock(8602544573871551347)";

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Runs what has not been run, Newer migrations than this version knows are left alone.
pub(super) async fn run(connection: &mut Connection) -> Result<(), StoreError> {
    // The table and its shape are those of the diesel command-line tool, so that operators may use either.
    let table = "create table if not exists __diesel_schema_migrations \
                 (version varchar(50) primary key not null, run_on timestamp not null default current_timestamp)";
    connection
        .transaction::<_, diesel::result::Error, _>(async |connection| {
            connection.batch_execute(LOCK).await?;
            connection.batch_execute(table).await?;
            let done = versions(connection).await?;
            for (version, text) in MIGRATIONS {
                if !done.iter().any(|known| known == version) {
                    tracing::info!(version, "running a migration");
                    connection.batch_execute(text).await?;
                    sql_query("insert into __diesel_schema_migrations (version) values ($1)")
                        .bind::<Text, _>(version)
                        .execute(connection)
                        .await?;
                }
            }
            Ok(())
        })
        .await
        .map_err(|error| StoreError::from(Failure::from(error)))
}

/// Says what to do when the schema is older than this version. It may be migrated at any moment, so that whoever serves waits.
pub(super) async fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let done = match versions(connection).await.map_err(Failure::from) {
        Ok(done) => done,
        Err(Failure::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
        // There is no such table, or it may not be read.
        Err(_) => Vec::new(),
    };
    match MIGRATIONS.iter().find(|(version, _)| !done.iter().any(|known| known == version)) {
        None => Ok(()),
        Some((version, _)) => Err(StoreError::Unavailable(format!(
            "{SCHEMA_TOO_OLD} {version}: run `waitless migrate` first, or set database.migrate = true"
        ))),
    }
}

async fn versions(connection: &mut Connection) -> Result<Vec<String>, diesel::result::Error> {
    let rows: Vec<Version> = sql_query("select version::text from __diesel_schema_migrations").load(connection).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Names the tables that the migrations make.
pub(super) fn tables() -> Vec<&'static str> {
    let made =
        |text: &'static str| text.lines().filter_map(|line| line.strip_prefix("create table ")?.split(' ').next());
    MIGRATIONS.iter().flat_map(|(_, text)| made(text)).collect()
}

/// Says which migrations a database has run, seen from this build.
pub(super) async fn state(client: &Client) -> Result<SchemaState, tokio_postgres::Error> {
    let there = rows(client, "select to_regclass('__diesel_schema_migrations') is not null").await?;
    let mut done = Vec::new();
    if there.iter().flatten().any(|there| there == "t") {
        done = rows(client, "select version::text from __diesel_schema_migrations order by version").await?;
    }
    let done: Vec<String> = done.into_iter().flatten().collect();
    let mut pending = Vec::new();
    for (version, text) in MIGRATIONS.iter().filter(|(version, _)| !done.iter().any(|known| known == version)) {
        let Some(note) = MigrationNote::read(version, text) else { continue };
        let tables = note.tables.join(",");
        let counted = format!(
            "select coalesce(sum(greatest(reltuples, 0)), 0)::bigint from pg_class \
             where oid = any(select to_regclass(name) from unnest(string_to_array('{tables}', ',')) name)"
        );
        let rows = rows(client, &counted).await?.into_iter().flatten().next();
        pending.push(PendingMigration { note, rows: rows.and_then(|rows| rows.parse().ok()).unwrap_or(0) });
    }
    let is_known = |version: &String| MIGRATIONS.iter().any(|(known, _)| known == version);
    let is_empty = !done.iter().any(is_known);
    let unknown = done.into_iter().filter(|version| !is_known(version)).collect();
    Ok(SchemaState { is_empty, pending, unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_says_on_its_first_line_what_it_costs() {
        for (version, text) in MIGRATIONS {
            let note = MigrationNote::read(version, text);
            let note = note.unwrap_or_else(|| {
                panic!("{version}: begin with `-- Upgrade: light: …` or `-- Upgrade: heavy on <tables>: …`")
            });
            assert!(note.tables.iter().all(|table| tables().contains(&table.as_str())), "{version}: {:?}", note.tables);
        }
    }
}
