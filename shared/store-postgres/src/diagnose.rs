//! What `waitless doctor` asks of the database: whether it can be reached, which one it is, and whether it lets us work. It changes
//! nothing.

use std::time::Duration;

use model::finding::Findings;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect::{ConnectFailure, Connector};
use super::connection::PeerKind;
use super::{PostgresStore, migrate};
use postgres_connect::with_causes;
use store::SchemaState;

/// The oldest version that still gets corrections, as `server_version_num` has it.
const OLDEST_TRIED: u32 = 150_000;
/// Older ones lack what the statements need.
const OLDEST_USABLE: u32 = 130_000;
/// Clocks that are kept by a time server differ by less.
const CLOCKS_APART: Duration = Duration::from_secs(2);
/// Connections of a process beside `database.pool`: its heartbeat and a spare one.
const BESIDE_THE_POOL: i64 = 2;

/// Connections there may be, may be for this database or role, and are.
const CONNECTIONS: &str = "select \
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint, \
    (select count(*) from pg_stat_activity where backend_type = 'client backend'), \
    (select coalesce(nullif(rolconnlimit, -1), 1000000) from pg_roles where rolname = current_user), \
    (select coalesce(nullif(datconnlimit, -1), 1000000) from pg_database where datname = current_database())";
/// Tables on which a right is missing that every service needs.
const MISSING_RIGHTS: &str = "select string_agg(format('%s (%s)', name, needed), ', ' order by name, needed) from \
    unnest(string_to_array($tables, ',')) name, unnest(array['select', 'insert', 'update', 'delete']) needed \
    where to_regclass(name) is not null and not has_table_privilege(to_regclass(name), needed)";

impl PostgresStore {
    /// Looks at the server and the schema that `database.url` names, and notes how they stand. Changes nothing.
    pub async fn diagnose(database: &configuration::Database, findings: &mut Findings) {
        let connector = match Connector::new(database) {
            Ok(connector) => connector,
            Err(error) => return findings.fail(error, "correct database.url"),
        };
        let (client, driver, peer) = match connector.connect_to_look().await {
            Ok(connected) => connected,
            Err(failure) => {
                return findings.fail(format!("cannot be used: {}", failure.why), advice(&failure));
            }
        };
        if let Err(error) = look(&client, peer, database, findings).await {
            findings.fail(
                format!("a question was refused: {}", with_causes(&error)),
                "look into the server's log; the role of database.url must be able to read the system catalogue",
            );
        }
        drop(driver);
    }

    /// Says which migrations the database has run, seen from this build. Changes nothing.
    ///
    /// # Errors
    /// Says why the database cannot be asked.
    pub async fn schema_state(database: &configuration::Database) -> store::Result<SchemaState> {
        let connector = Connector::new(database)?;
        let unavailable = |why: String| store::StoreError::Unavailable(why);
        let (client, driver, _) = connector.connect_to_look().await.map_err(|failure| unavailable(failure.why))?;
        let state = migrate::state(&client).await.map_err(|error| unavailable(with_causes(&error)));
        drop(driver);
        state
    }
}

fn advice(failure: &ConnectFailure) -> &'static str {
    match &failure.code {
        Some(code) if *code == SqlState::INVALID_PASSWORD || code.code().starts_with("28") => {
            "correct user and password in database.url, or let this user in (pg_hba.conf)"
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            "make the database (`createdb`), or correct its name in database.url"
        }
        Some(code) if code.code().starts_with("53") => "close other connections, or raise max_connections",
        Some(_) => "look into the server's log",
        None if failure.why.contains("certificate") => {
            "name the authority of its certificate in database.ca_file, or correct the host in database.url"
        }
        None => "see that the server runs and that host and port of database.url can be reached from here",
    }
}

async fn look(
    client: &Client,
    peer: PeerKind,
    database: &configuration::Database,
    findings: &mut Findings,
) -> Result<(), tokio_postgres::Error> {
    look_at_server(client, peer, findings).await?;
    look_at_clock(client, findings).await?;
    if matches!(peer, PeerKind::Server) {
        look_at_connections(client, database.pool, findings).await?;
    }
    let state = migrate::state(client).await?;
    state.note(database.migrate, findings);
    look_at_rights(client, !state.pending.is_empty() && database.migrate, findings).await
}

async fn look_at_server(client: &Client, peer: PeerKind, findings: &mut Findings) -> Result<(), tokio_postgres::Error> {
    let asked = "select current_setting('server_version_num'), current_setting('server_version'), pg_is_in_recovery(), \
                 current_setting('default_transaction_read_only'), current_setting('lc_messages')";
    let row = first_row(client, asked).await?;
    let number: u32 = text(&row, 0).parse().unwrap_or_default();
    let version = format!("PostgreSQL {}", text(&row, 1));
    match number {
        OLDEST_TRIED.. => findings.ok(format!("{version} answers")),
        OLDEST_USABLE..OLDEST_TRIED => {
            findings.warn(format!("{version} is older than what is tried"), "upgrade the server to 15 or later");
        }
        _ => findings.fail(format!("{version} is too old"), "upgrade the server to 15 or later"),
    }
    if text(&row, 2) == "t" || text(&row, 3) == "on" {
        findings.fail(
            "takes no writes: it is a standby, or read-only by default",
            "lead database.url to the primary, or set default_transaction_read_only = off for its role",
        );
    }
    let messages = text(&row, 4);
    if !(messages.starts_with("en") || matches!(messages, "" | "C" | "POSIX" | "C.UTF-8" | "C.utf8")) {
        findings.warn(
            format!("its messages are in the language of `{messages}`, and some conditions are told apart by them"),
            "alter role … set lc_messages = 'C'",
        );
    }
    if matches!(peer, PeerKind::Pooler) {
        findings.ok("a pooler is between: a killed worker's jobs run again within 3 s, in place of 0.1 s");
    }
    Ok(())
}

async fn look_at_clock(client: &Client, findings: &mut Findings) -> Result<(), tokio_postgres::Error> {
    let before = chrono::Utc::now();
    let row = first_row(client, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint").await?;
    let after = chrono::Utc::now();
    let theirs = text(&row, 0).parse().ok().and_then(chrono::DateTime::from_timestamp_micros).unwrap_or(before);
    // Read somewhere between the two.
    let apart = if theirs < before { before - theirs } else { (theirs - after).max(chrono::Duration::zero()) };
    let apart = apart.to_std().unwrap_or_default();
    let side = if theirs < before { "behind" } else { "ahead of" };
    if apart > CLOCKS_APART {
        findings.warn(
            format!("its clock is {:.0} s {side} this machine's", apart.as_secs_f64()),
            "have both set by a time server (chrony, systemd-timesyncd)",
        );
    } else {
        findings.ok("its clock and this machine's agree");
    }
    Ok(())
}

async fn look_at_connections(
    client: &Client,
    pool: usize,
    findings: &mut Findings,
) -> Result<(), tokio_postgres::Error> {
    let row = first_row(client, CONNECTIONS).await?;
    let number = |at| text(&row, at).parse::<i64>().unwrap_or_default();
    let (all, used) = (number(0).min(number(2)).min(number(3)), number(1));
    let wanted = i64::try_from(pool).unwrap_or(i64::MAX).saturating_add(BESIDE_THE_POOL);
    let what = format!("{used} of {all} connections are in use, and a process takes up to {wanted}");
    if all - used < wanted {
        findings.warn(what, "raise max_connections (or the limit of the role or database), or lower database.pool");
    } else {
        findings.ok(what);
    }
    Ok(())
}

async fn look_at_rights(client: &Client, migrates: bool, findings: &mut Findings) -> Result<(), tokio_postgres::Error> {
    let tables = migrate::tables().join(",");
    let row = first_row(client, &MISSING_RIGHTS.replace("$tables", &format!("'{tables}'"))).await?;
    let missing = text(&row, 0);
    if missing.is_empty() {
        findings.ok("its role may read and write our tables");
    } else {
        findings.fail(
            format!("its role lacks rights on {missing}"),
            "grant select, insert, update, delete on all tables of the schema to the role of database.url",
        );
    }
    if migrates {
        let asked = "select has_schema_privilege(current_schema(), 'create')";
        if text(&first_row(client, asked).await?, 0) != "t" {
            findings.fail(
                "its role may not make tables, and migrations are to run",
                "run `waitless migrate` with a role that owns the schema, and set database.migrate = false",
            );
        }
    }
    Ok(())
}

/// Asks in the simple protocol, which goes through every pooler.
pub(super) async fn rows(client: &Client, asked: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let answer = client.simple_query(asked).await?;
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

async fn first_row(client: &Client, asked: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    Ok(rows(client, asked).await?.into_iter().next().unwrap_or_default())
}

fn text(row: &[String], at: usize) -> &str {
    row.get(at).map_or("", String::as_str)
}
