//! What PostgreSQL's own client takes to copy the table into a file, neither hashed nor escaped nor synced.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::usage::Usage;

/// What a peer took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerTook {
    pub(crate) seconds: f64,
    /// Processor time of the peer itself.
    pub(crate) own_cpu: f64,
    pub(crate) postgres_cpu: f64,
}

/// Copies the table by `psql` in a format of `COPY`, and removes the file.
pub(crate) async fn by_psql(database: &str, folder: &Path, format: &str) -> anyhow::Result<PeerTook> {
    let file = folder.join("copied");
    let copy = format!("\\copy (select * from lineitem) to '{}' with (format {format})", file.display());
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", &copy]);
    let (took, _said) = run(&mut psql).await.context("copy by psql (Debian package postgresql-client)")?;
    let bytes = std::fs::metadata(&file)?.len();
    ensure!(bytes > 500_000_000, "psql copied {bytes} bytes only");
    std::fs::remove_file(&file)?;
    Ok(took)
}

/// Runs a program to its end, and returns what it took and wrote to its standard output.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<(PeerTook, String)> {
    let (before, began) = (Usage::now(), Instant::now());
    let output = command.kill_on_drop(true).output().await.context("start the program")?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr));
    let used = Usage::now().since(&before);
    // Of a child that has ended the time is ours; our own part is to wait.
    let took = PeerTook { seconds, own_cpu: used.of("bench"), postgres_cpu: used.of("postgres") };
    Ok((took, String::from_utf8_lossy(&output.stdout).into_owned()))
}
