//! Python with packages that tests need: those that read our files back (pyarrow, DuckDB, openpyxl), and those that call the API in
//! every way that its document allows (Schemathesis).

use std::path::PathBuf;

/// Names a Python that has the packages of `scripts/readers.txt`.
pub const VARIABLE: &str = "WAITLESS_TEST_PYTHON";
/// Names a Python that has the packages of `scripts/callers.txt`.
pub const CALLERS_VARIABLE: &str = "WAITLESS_TEST_CALLERS";

/// Finds the Python that `scripts/install-readers` made, unless `WAITLESS_TEST_PYTHON` names one.
///
/// # Errors
/// When there is none with these packages; the text says what to do.
pub fn python() -> anyhow::Result<PathBuf> {
    let packages = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/readers.txt"));
    python_of("readers", VARIABLE, packages)
}

/// Finds the Python that `scripts/install-callers` made, unless `WAITLESS_TEST_CALLERS` names one.
///
/// # Errors
/// When there is none with these packages; the text says what to do.
pub fn callers_python() -> anyhow::Result<PathBuf> {
    let packages = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/callers.txt"));
    python_of("callers", CALLERS_VARIABLE, packages)
}

fn python_of(name: &str, variable: &str, packages: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = crate::environment::variable(variable) {
        return Ok(PathBuf::from(named));
    }
    let folder = crate::environment::cache()?.join(name);
    let installed = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap_or_default();
    anyhow::ensure!(
        installed == packages,
        "the packages of scripts/{name}.txt are not in {}: run scripts/install-{name}, or name a Python that has them in {variable}",
        folder.display()
    );
    Ok(folder.join("bin/python"))
}
