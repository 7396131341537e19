//! Servers that all tests of one run share, though each test is a process of its own.
//!
//! A run is one `cargo nextest` or `cargo test`: the parent of every test. The first test that needs a server starts it under
//! a lock and writes its address down; a guard ends it when the parent is gone.

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::process_tree::{ProcessTree, started_at};

/// A started server that is about to be left to the run.
pub(crate) struct StartedServer {
    /// What other tests need to know to use it.
    pub(crate) address: String,
    pub(crate) processes: Vec<ProcessTree>,
}

/// Does something once for all tests of this run.
pub(crate) async fn once<F>(name: &str, work: impl FnOnce() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let done = async |_folder| {
        work().await?;
        Ok(StartedServer { address: String::new(), processes: Vec::new() })
    };
    server(name, done).await.map(drop)
}

/// The address of the run's server `name`, started by `start` in the folder it is given if no test has before.
pub(crate) async fn server<F>(name: &str, start: impl FnOnce(PathBuf) -> F) -> anyhow::Result<String>
where
    F: Future<Output = anyhow::Result<StartedServer>>,
{
    let run = std::os::unix::process::parent_id();
    let folder = folder_of(run)?;
    let lock_path = folder.join(format!("{name}.lock"));
    let _lock = tokio::task::spawn_blocking(move || lock(&lock_path)).await??;
    let (written, failed) = (folder.join(format!("{name}.address")), folder.join(format!("{name}.failed")));
    if let Ok(address) = std::fs::read_to_string(&written) {
        return Ok(address);
    }
    if let Ok(reason) = std::fs::read_to_string(&failed) {
        anyhow::bail!("{reason}");
    }
    let own = folder.join(format!("{name}-{}", std::process::id()));
    match start(own.clone()).await {
        Ok(started) => {
            crate::reaper::register_more(&folder, &started.processes)?;
            started.processes.into_iter().for_each(ProcessTree::detach);
            std::fs::write(&written, &started.address).context("write down the address of a test server")?;
            Ok(started.address)
        }
        Err(error) => {
            // Without this every test of the run would wait for the same failure again.
            let _best_effort = std::fs::write(&failed, format!("{error:#}"));
            Err(error)
        }
    }
}

/// Where the run keeps what its tests share. Root's servers run as somebody else, who cannot read root's folders.
fn folder_of(run: u32) -> anyhow::Result<PathBuf> {
    let name = format!("waitless-test-{}-{run}-{}", crate::environment::account_id()?, started_at(run)?);
    let folder = std::env::temp_dir().join(name);
    if !folder.exists() {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        crate::reaper::watch(run, &folder)?;
    }
    Ok(folder)
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}
