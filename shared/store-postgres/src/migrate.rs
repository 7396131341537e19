//! Brings the schema up to date: the embedded migrations, each in a transaction, one process at a time.

use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _, SimpleAsyncConnection as _};

use super::connection::Connection;
use super::errors::Failure;
use store::StoreError;

/// Version and text, oldest first.
const MIGRATIONS: [(&str, &str); 11] = [
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
    ("20260209000000", include_str!("../migrations/2026-02-09-000000_revoked_tokens/up.sql")),
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

/// Says what to do when the schema is older than this version.
pub(super) async fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let done = match versions(connection).await.map_err(Failure::from) {
        Ok(done) => done,
        Err(Failure::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
        // There is no such table, or it may not be read.
        Err(_) => Vec::new(),
    };
    match MIGRATIONS.iter().find(|(version, _)| !done.iter().any(|known| known == version)) {
        None => Ok(()),
        Some((version, _)) => Err(StoreError::Unexpected(format!(
            "the schema lacks migration {version}: run `waitless migrate` first, or set database.migrate = true"
        ))),
    }
}

async fn versions(connection: &mut Connection) -> Result<Vec<String>, diesel::result::Error> {
    let rows: Vec<Version> = sql_query("select version::text from __diesel_schema_migrations").load(connection).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
