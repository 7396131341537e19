//! A PgBouncer before a database.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::account::Account;
use crate::port::Port;
use crate::process_tree::ProcessTree;

/// A running PgBouncer that gives each transaction another session (`pool_mode = transaction`). Killed with this value.
#[derive(Debug)]
pub struct Pooler {
    process: ProcessTree,
    port: Port,
    database: String,
    folder: tempfile::TempDir,
}

impl Pooler {
    /// Starts one with at most `sessions` sessions at the server of `url`, used in turn, so that none is kept by chance.
    ///
    /// # Errors
    /// When PgBouncer is not installed or does not start; says what to do, with the end of its log.
    pub async fn start(url: &str, sessions: u16) -> anyhow::Result<Pooler> {
        let program = crate::environment::find_program("pgbouncer", &["/usr/sbin".into()])
            .context("PgBouncer is not installed: run scripts/install-test-services")?;
        let server: tokio_postgres::Config = url.parse().context("read the URL of the server")?;
        let (port_of, user) = (server.get_ports().first().copied().unwrap_or(5432), server.get_user());
        let (port, account) = (Port::reserve()?, Account::choose(&["postgres", "nobody"])?);
        let folder = crate::environment::own_folder("pgbouncer")?;
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={port_of} user={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 500\nserver_round_robin = 1\n\
             logfile = {}\n",
            user.context("find the user in the URL of the server")?,
            port.number,
            folder.path().join("log").display(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).context("write the settings of PgBouncer")?;
        crate::reaper::watch(std::process::id(), folder.path())?;
        account.give(folder.path())?;
        let mut command = Command::new(program);
        command.arg("-q").arg(&file).current_dir("/");
        account.apply(&mut command);
        let process = ProcessTree::spawn(&mut command)?;
        crate::reaper::register(folder.path(), &[&process])?;
        let database = server.get_dbname().unwrap_or("postgres").to_owned();
        let mut pooler = Pooler { process, port, database, folder };
        pooler.wait_until_it_answers().await?;
        Ok(pooler)
    }

    /// `postgres://waitless@127.0.0.1:<port>/<database>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://waitless@127.0.0.1:{}/{}", self.port.number, self.database)
    }

    async fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let Err(error) = super::sql(&self.url(), "select 1").await else { return Ok(()) };
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Some(status) = self.process.ended() {
                anyhow::bail!("PgBouncer ended at start ({status}):\n{}", log());
            }
            anyhow::ensure!(Instant::now() < end, "PgBouncer does not answer ({error:#}):\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
