//! Servers that all tests of one run share, though each test is a process of its own.
//!
//! A run is one `cargo nextest` or `cargo test`: the parent of every test. The first test that needs a server starts it under
//! a lock and writes its address down; a guard ends it when the parent is gone.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::tree::{Tree, started_at};

/// A started server that is about to be left to the run.
pub(crate) struct Shared {
    /// What other tests need to know to use it.
    pub(crate) address: String,
    pub(crate) processes: Vec<Tree>,
}

/// Does something once for all tests of this run.
pub(crate) async fn once<F>(name: &str, work: impl FnOnce() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let done = async |_folder| {
        work().await?;
        Ok(Shared { address: String::new(), processes: Vec::new() })
    };
    server(name, done).await.map(drop)
}

/// The address of the run's server `name`, started by `start` in the folder it is given if no test has before.
pub(crate) async fn server<F>(name: &str, start: impl FnOnce(PathBuf) -> F) -> anyhow::Result<String>
where
    F: Future<Output = anyhow::Result<Shared>>,
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
        Ok(shared) => {
            crate::guard::note_also(&folder, &shared.processes)?;
            shared.processes.into_iter().for_each(Tree::leave);
            std::fs::write(&written, &shared.address).context("write down the address of a test server")?;
            Ok(shared.address)
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
    let name = format!("waitless-test-{}-{run}-{}", account_id()?, started_at(run)?);
    let folder = std::env::temp_dir().join(name);
    if !folder.exists() {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        crate::guard::watch(run, &folder)?;
    }
    Ok(folder)
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("open {}", path.display()))?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// The account of this process, as a number.
pub(crate) fn account_id() -> anyhow::Result<u32> {
    Ok(std::fs::metadata("/proc/self").context("read the account of this process from /proc")?.uid())
}

/// The folder cargo builds into, found from the place of the running test.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    profile_folder()?.parent().map(Path::to_owned).context("find the target folder")
}

/// The folder of the running profile, `target/debug` for instance: our binaries are there.
pub(crate) fn profile_folder() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("find the running test")?;
    let folder = test.parent().context("find the folder of the running test")?;
    let above_deps = if folder.ends_with("deps") || folder.ends_with("examples") { folder.parent() } else { None };
    Ok(above_deps.unwrap_or(folder).to_owned())
}

/// A folder for one server of this test alone.
pub(crate) fn own_folder(name: &str) -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix(&format!("waitless-test-{name}-"))
        .tempdir()
        .context("make a temporary folder for a test server")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// The value of an environment variable that names a server to use, unless it is empty.
pub(crate) fn named(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The first of `folders` (or of the search path) that holds `program`.
pub(crate) fn find_program(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&path));
    all.map(|folder| folder.join(program)).find(|program| program.is_file())
}
