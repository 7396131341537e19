//! The MariaDB server all tests of a run share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::template::{self, SETTINGS};
use crate::account::Account;
use crate::port::Port;
use crate::process_tree::ProcessTree;
use crate::run::StartedServer;

/// Starts the server in a folder that does not exist yet.
pub(super) async fn start_for_run(folder: PathBuf) -> anyhow::Result<StartedServer> {
    let account = Account::choose(&["mysql", "postgres", "nobody"])?;
    let port = Port::reserve()?;
    std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
    account.give(&folder)?;
    template::copy_to(&folder.join("data"), account).await?;
    let mut process = spawn(&folder, port.number, account)?;
    let url = format!("mysql://waitless:waitless@127.0.0.1:{}/mysql", port.number);
    let end = Instant::now() + Duration::from_secs(60);
    while let Err(error) = super::sql(&url, "select 1").await {
        if let Some(status) = process.ended() {
            anyhow::bail!("MariaDB ended at start ({status}):\n{}", log(&folder));
        }
        anyhow::ensure!(Instant::now() < end, "MariaDB does not answer ({error:#}):\n{}", log(&folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(StartedServer { address: url, processes: vec![process] })
}

fn spawn(folder: &Path, port: u16, account: Account) -> anyhow::Result<ProcessTree> {
    let data = folder.join("data");
    let mut command = Command::new(template::server()?);
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display())).args(SETTINGS);
    command.arg(format!("--tmpdir={}", data.display())).arg(format!("--pid-file={}", data.join("pid").display()));
    command.args(["--bind-address=127.0.0.1", "--socket=", "--skip-name-resolve", "--max-connections=300"]);
    command.arg(format!("--port={port}")).arg("--innodb-flush-log-at-trx-commit=0");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    command.current_dir("/").stdout(log.try_clone()?).stderr(log);
    account.apply(&mut command);
    ProcessTree::spawn(&mut command)
}

fn log(folder: &Path) -> String {
    std::fs::read(folder.join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
