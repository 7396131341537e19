//! An initialised data folder, made once and copied for every server: `initdb` takes a second, a copy a tenth of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::account::Account;

/// The folder with `postgres` and `initdb`, the newest version first.
///
/// # Errors
/// When PostgreSQL is not installed; says what to do.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort_unstable_by(|one, other| other.cmp(one));
    let folders: Vec<PathBuf> = debian.into_iter().map(|(_, folder)| folder).collect();
    crate::environment::find_program("initdb", &folders)
        .and_then(|program| program.parent().map(Path::to_owned))
        .with_context(|| {
            format!(
                "this test was not run: it needs PostgreSQL, and there is none. Run `make test`, which installs it, or \
                 `apt-get install postgresql`, or name a server with {}",
                super::VARIABLE
            )
        })
}

/// Copies the template to `data`, which must not exist yet, and hands it over to `account`.
pub(crate) async fn copy_to(data: &Path, account: Account) -> anyhow::Result<()> {
    let template = tokio::task::spawn_blocking(move || template(account)).await??;
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(template).arg(data);
    run(copy).await.context("copy the PostgreSQL template")?;
    Ok(())
}

fn template(account: Account) -> anyhow::Result<PathBuf> {
    let programs = programs()?;
    let version = programs.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let cache = crate::environment::target_folder()?.join("test-servers");
    std::fs::create_dir_all(&cache).with_context(|| format!("make {}", cache.display()))?;
    let name = format!("postgres-{}-{}", version.unwrap_or_default(), account.id());
    let template = cache.join(&name);
    let lock = std::fs::File::create(cache.join(format!("{name}.lock")))?;
    lock.lock().context("lock the PostgreSQL template")?;
    if template.exists() {
        return Ok(template);
    }
    let workshop = crate::environment::own_folder("template")?;
    account.give(workshop.path())?;
    let made = workshop.path().join("data");
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.args(["--no-sync", "--no-instructions", "--auth=trust", "--username=waitless", "--encoding=UTF8"]);
    // The C locale is on every machine; small WAL segments make the copy small.
    initdb.args(["--locale=C", "--wal-segsize=4", "--data-checksums", "--pgdata"]).arg(&made);
    initdb.current_dir("/").stdin(Stdio::null());
    account.apply(&mut initdb);
    checked(initdb.output(), "initdb")?;
    // Renamed only when whole: a killed copy is never taken for a template.
    let unfinished = cache.join(format!("{name}.unfinished"));
    let _absent = std::fs::remove_dir_all(&unfinished);
    checked(Command::new("cp").arg("-a").arg(&made).arg(&unfinished).output(), "cp")?;
    std::fs::rename(&unfinished, &template).context("put the PostgreSQL template into its place")?;
    Ok(template)
}

async fn run(command: Command) -> anyhow::Result<()> {
    let name = command.get_program().display().to_string();
    checked(tokio::process::Command::from(command).output().await, &name)
}

fn checked(output: std::io::Result<std::process::Output>, name: &str) -> anyhow::Result<()> {
    let output = output.with_context(|| format!("run {name}"))?;
    anyhow::ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
