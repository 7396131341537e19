//! A MariaDB data folder, made once and copied for every run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::account::Account;

/// Small files make a small copy. The server must run with what its data were made with.
pub(super) const SETTINGS: &[&str] = &[
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-temp-data-file-path=ibtmp1:2M:autoextend",
    "--innodb-undo-tablespaces=0",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=64M",
];

/// The server's program.
///
/// # Errors
/// When MariaDB is not installed; says what to do.
pub(super) fn server() -> anyhow::Result<PathBuf> {
    crate::environment::find_program("mariadbd", &[PathBuf::from("/usr/sbin")]).with_context(|| {
        format!(
            "this test was not run: it needs MariaDB, and there is none. Run `make test`, which installs it, or `apt-get install \
             mariadb-server-core`, or name a server with {}",
            super::VARIABLE
        )
    })
}

/// Copies the template to `data`, which must not exist yet.
pub(super) async fn copy_to(data: &Path, account: Account) -> anyhow::Result<()> {
    let template = tokio::task::spawn_blocking(move || template(account)).await??;
    let copied = tokio::process::Command::new("cp").arg("-a").arg(template).arg(data).output().await;
    checked(copied, "cp")
}

fn template(account: Account) -> anyhow::Result<PathBuf> {
    let server = server()?;
    let cache = crate::environment::target_folder()?.join("test-servers");
    std::fs::create_dir_all(&cache).with_context(|| format!("make {}", cache.display()))?;
    let name = format!("mariadb-{}", account.id());
    let template = cache.join(&name);
    let lock = std::fs::File::create(cache.join(format!("{name}.lock")))?;
    lock.lock().context("lock the MariaDB template")?;
    if template.exists() {
        return Ok(template);
    }
    let workshop = crate::environment::own_folder("template")?;
    let made = workshop.path().join("data");
    std::fs::create_dir(&made)?;
    account.give(workshop.path())?;
    make(&server, &made, account)?;
    // Renamed only when whole: a killed copy is never taken for a template.
    let unfinished = cache.join(format!("{name}.unfinished"));
    let _absent = std::fs::remove_dir_all(&unfinished);
    checked(Command::new("cp").arg("-a").arg(&made).arg(&unfinished).output(), "cp")?;
    std::fs::rename(&unfinished, &template).context("put the MariaDB template into its place")?;
    Ok(template)
}

/// Fills a data folder as `mariadb-install-db` would, which wants programs of further packages.
fn make(server: &Path, data: &Path, account: Account) -> anyhow::Result<()> {
    let mut bootstrap = Command::new(server);
    bootstrap.args(["--no-defaults", "--bootstrap"]).arg(format!("--datadir={}", data.display())).args(SETTINGS);
    bootstrap.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    account.apply(&mut bootstrap);
    let mut running = bootstrap.spawn().context("run mariadbd")?;
    let mut statements = running.stdin.take().context("write to mariadbd")?;
    let writing = std::thread::spawn(move || {
        let text = statements_of_a_new_server()?;
        statements.write_all(&text).context("write to mariadbd")
    });
    let outcome = checked(running.wait_with_output(), "mariadbd");
    let written = writing.join().map_err(|_| anyhow::anyhow!("writing to mariadbd panicked"))?;
    outcome.and(written)
}

/// One statement a line, as the server reads them while it bootstraps.
fn statements_of_a_new_server() -> anyhow::Result<Vec<u8>> {
    let mut text = b"create database mysql;\nuse mysql;\nset @auth_root_socket=null;\n".to_vec();
    for name in ["mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"] {
        let found = ["/usr/share/mysql", "/usr/share/mariadb"]
            .iter()
            .find_map(|folder| std::fs::read(Path::new(folder).join(name)).ok());
        text.extend(
            found
                .with_context(|| format!("{name} of MariaDB is neither in /usr/share/mysql nor /usr/share/mariadb"))?,
        );
    }
    text.extend_from_slice(b"\nflush privileges;\ncreate user waitless@'%' identified by 'waitless';\n");
    text.extend_from_slice(b"grant all on *.* to waitless@'%' with grant option;\n");
    Ok(text)
}

fn checked(output: std::io::Result<std::process::Output>, name: &str) -> anyhow::Result<()> {
    let output = output.with_context(|| format!("run {name}"))?;
    anyhow::ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
