//! Parquet by pyarrow, reading by Arrow's own driver of PostgreSQL (ADBC), in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::figures::say;

use super::copy::{PeerTook, run as run_program};
use super::lineitem;

/// Returns the interpreter that `scripts/install-bench-peers` made, if it is there.
pub(crate) fn find() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers/python/bin/python");
    if python.exists() {
        return Some(python);
    }
    say("parquet_ratio_adbc is not measured: scripts/install-bench-peers could not install pyarrow and ADBC");
    None
}

/// Writes the table as Parquet with zstd, and removes the file.
pub(crate) async fn run(python: &Path, database: &str, folder: &Path) -> anyhow::Result<PeerTook> {
    let file = folder.join("peer.parquet");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/parquet_by_adbc.py");
    let mut program = Command::new(python);
    program.arg(script).arg(database).arg(&file);
    let (took, said) = run_program(&mut program).await.context("run pyarrow")?;
    let rows: i64 = said.trim().parse().context("read the number of rows")?;
    ensure!(rows == lineitem::ROWS, "pyarrow wrote {rows} rows");
    std::fs::remove_file(&file)?;
    Ok(took)
}
