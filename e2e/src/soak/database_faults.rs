//! What happens to PostgreSQL, which holds the truth and is a source of reports too.

use std::time::Duration;

use testing::postgres::Server;
use tokio_postgres::NoTls;

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;

/// Cuts every session but the asking one.
const TERMINATE: &str = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
    and backend_type = 'client backend'";
/// More than the server has places.
const TOO_MANY: usize = 120;

/// Lets one fault come after the other until the storm is over; then the server runs.
pub(super) async fn blow(plan: &Plan, server: &mut Server, tally: &Tally) -> anyhow::Result<()> {
    let mut dice = plan.dice("database");
    while !tally.is_over() {
        pause(tally, dice.millis(5_000..20_000)).await;
        match dice.number(0..100) {
            0..25 => {
                let _now = tally.begin("database sessions ended");
                if server.sql(TERMINATE).await.is_err() {
                    tally.could_not("database sessions ended");
                }
            }
            25..42 => {
                let _now = tally.begin("database restarted");
                server.stop().await?;
                pause(tally, dice.millis(0..5_000)).await;
                server.start_again().await?;
            }
            42..58 => {
                let _now = tally.begin("database killed");
                server.kill();
                pause(tally, dice.millis(0..3_000)).await;
                server.start_again().await?;
            }
            58..72 => {
                let _now = tally.begin("database frozen");
                server.freeze()?;
                pause(tally, dice.millis(500..8_000)).await;
                server.thaw()?;
            }
            72..86 => {
                let _now = tally.begin("database read-only");
                make_read_only(server, "on").await?;
                pause(tally, dice.millis(2_000..9_000)).await;
                make_read_only(server, "off").await?;
            }
            _ => exhaust(server, &mut dice, tally).await,
        }
    }
    Ok(())
}

async fn make_read_only(server: &Server, value: &str) -> anyhow::Result<()> {
    // A statement each: this one may not stand in a transaction with others.
    server.sql(&format!("alter system set default_transaction_read_only = {value}")).await?;
    server.sql("select pg_reload_conf()").await.map(drop)
}

/// Takes every place at the server for a time, after all others have lost theirs.
async fn exhaust(server: &Server, dice: &mut Dice, tally: &Tally) {
    let _now = tally.begin("database connections exhausted");
    let _cut = server.sql(TERMINATE).await;
    let mut held = Vec::new();
    for _ in 0..TOO_MANY {
        let connecting = tokio_postgres::connect(&server.url(), NoTls).await;
        let Ok((client, connection)) = connecting else { break };
        held.push((client, tokio::spawn(connection)));
    }
    if held.is_empty() {
        tally.could_not("database connections exhausted");
    }
    tokio::time::sleep(dice.millis(1_000..7_000).min(tally.left().max(Duration::from_millis(100)))).await;
    for (client, connection) in held {
        drop(client);
        let _ended = connection.await;
    }
}
