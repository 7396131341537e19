//! The limit we are measured against: PostgreSQL inserting the same rows one transaction at a time, by its own `pgbench`.

use std::path::Path;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Inserts what one submit writes (job, event, outbox row), one statement and transaction each.
pub(crate) const SAME_ROWS: &str = include_str!("../sql/submit_one.sql");
/// Inserts the job row alone.
pub(crate) const JOB_ROW: &str = include_str!("../sql/insert_job.sql");

/// Runs `script` with prepared statements over `clients` connections and returns transactions a second.
pub(crate) async fn run(database: &str, script: &str, clients: u32, seconds: u32) -> anyhow::Result<f64> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), script)?;
    let found = [
        "/usr/lib/postgresql/15/bin/pgbench",
        "/usr/lib/postgresql/16/bin/pgbench",
        "/usr/lib/postgresql/17/bin/pgbench",
    ];
    let program = found.into_iter().find(|path| Path::new(path).exists()).unwrap_or("pgbench");
    let output = Command::new(program)
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &seconds.to_string(), "-f"])
        .arg(file.path())
        .arg(database)
        .output()
        .await
        .context("run pgbench (Debian package postgresql-contrib or postgresql)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    tps.context("find tps in what pgbench printed")?.parse().context("read tps")
}
