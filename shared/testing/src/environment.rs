//! What a test finds around it: its account, folders, variables and programs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

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

/// The folder where the scripts install what tests need and no package of the system holds.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set")?;
    Ok(cache.join("waitless"))
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

/// The value of an environment variable, unless it is empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The first of `folders` (or of the search path) that holds `program`.
pub(crate) fn find_program(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&path));
    all.map(|folder| folder.join(program)).find(|program| program.is_file())
}
