//! Python with the packages that read our files back: pyarrow, DuckDB, openpyxl.

use std::path::PathBuf;

use anyhow::Context;

/// Names a Python that has the packages of `scripts/readers.txt`.
pub const VARIABLE: &str = "WAITLESS_TEST_PYTHON";
/// The packages, pinned.
const PACKAGES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/readers.txt"));

/// Finds the Python that `scripts/install-readers` made, unless `WAITLESS_TEST_PYTHON` names one.
///
/// # Errors
/// When there is none with these packages; the text says what to do.
pub fn python() -> anyhow::Result<PathBuf> {
    if let Some(named) = crate::environment::variable(VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    let cache = crate::environment::variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(crate::environment::variable("HOME")?).join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set")?;
    let folder = cache.join("waitless/readers");
    let installed = std::fs::read_to_string(folder.join("readers.txt")).unwrap_or_default();
    anyhow::ensure!(
        installed == PACKAGES,
        "the programs that read files back are not in {}: run scripts/install-readers, or name a Python that has the packages of \
         scripts/readers.txt in {VARIABLE}",
        folder.display()
    );
    Ok(folder.join("bin/python"))
}
