//! A PostgreSQL server of one test alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::account::Account;
use crate::port::Port;
use crate::process_tree::ProcessTree;
use crate::run::StartedServer;

use super::template;

/// How long what is left of a killed server may keep its memory.
const LAST_SESSIONS: Duration = Duration::from_secs(10);

/// A running server. Killed with all its processes and deleted with this value, also when the test is killed.
#[derive(Debug)]
pub struct Server {
    process: Option<ProcessTree>,
    port: Port,
    options: Vec<String>,
    account: Account,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server with durable settings (fsync on).
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; says what to do, with the end of its log.
    pub async fn start() -> anyhow::Result<Server> {
        Server::start_with(&[]).await
    }

    /// Starts a server with settings such as `max_connections=10`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(options: &[&str]) -> anyhow::Result<Server> {
        let account = Account::choose(&["postgres", "nobody"])?;
        let mut server = Server {
            process: None,
            port: Port::reserve()?,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            account,
            folder: crate::environment::own_folder("postgres")?,
        };
        crate::reaper::watch(std::process::id(), server.folder.path())?;
        account.give(server.folder.path())?;
        template::copy_to(&server.data(), account).await?;
        server.start_again().await?;
        Ok(server)
    }

    /// `postgres://waitless@127.0.0.1:<port>/postgres`
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port.number)
    }

    /// The port it listens on, also while it is stopped.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Starts it again on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer within a minute, with the end of its log.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            match self.try_to_start().await {
                // Sessions of a killed server may take a moment to go, and hold on to its memory until then.
                Err(error) if start.elapsed() < LAST_SESSIONS && error.to_string().contains("is still in use") => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_to_start(&mut self) -> anyhow::Result<()> {
        let mut process = spawn(self.folder.path(), self.port.number, &self.options, self.account)?;
        crate::reaper::register(self.folder.path(), &[&process])?;
        wait_until_it_answers(&mut process, self.folder.path(), self.port.number).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it in order, ending all sessions.
    ///
    /// # Errors
    /// When it does not stop within 30 seconds.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal("INT")?;
        anyhow::ensure!(process.wait(Duration::from_secs(30)).await, "PostgreSQL does not stop");
        Ok(())
    }

    /// Kills all its processes with `SIGKILL`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops all its processes where they are (`SIGSTOP`): connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.as_ref().context("PostgreSQL does not run")?.signal_all("STOP")
    }

    /// Lets it go on after [`Server::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.process.as_ref().context("PostgreSQL does not run")?.signal_all("CONT")
    }

    /// Loses all data: stops it, and starts an empty server on the same port.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn wipe(&mut self) -> anyhow::Result<()> {
        self.kill();
        std::fs::remove_dir_all(self.data()).context("delete the data of PostgreSQL")?;
        template::copy_to(&self.data(), self.account).await?;
        self.start_again().await
    }

    /// Runs SQL as the owner of the server, and returns the rows as text.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses a statement.
    pub async fn sql(&self, statements: &str) -> anyhow::Result<Vec<Vec<Option<String>>>> {
        super::sql(&self.url(), statements).await
    }

    /// Makes a database on this server.
    ///
    /// # Errors
    /// When the server cannot be reached or has one of this name.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        self.sql(&format!("create database {name}")).await?;
        Ok(super::with_database(&self.url(), name))
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server all tests of a run share.
    pub(crate) async fn start_for_run(folder: PathBuf) -> anyhow::Result<StartedServer> {
        let account = Account::choose(&["postgres", "nobody"])?;
        let port = Port::reserve()?;
        std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        account.give(&folder)?;
        template::copy_to(&folder.join("data"), account).await?;
        // Nobody kills this one, so nothing has to be on the disk.
        let options = ["max_connections=500", "fsync=off", "full_page_writes=off"].map(str::to_owned);
        let mut process = spawn(&folder, port.number, &options, account)?;
        wait_until_it_answers(&mut process, &folder, port.number).await?;
        Ok(StartedServer { address: url(port.number), processes: vec![process] })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked to end at once, it also removes its shared memory, which a kill would detach on the machine.
        let Some(mut process) = self.process.take() else { return };
        let _running = process.signal_all("CONT");
        if process.signal("QUIT").is_ok() {
            let end = Instant::now() + Duration::from_secs(2);
            while process.ended().is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn url(port: u16) -> String {
    format!("postgres://waitless@127.0.0.1:{port}/postgres")
}

fn spawn(folder: &Path, port: u16, options: &[String], account: Account) -> anyhow::Result<ProcessTree> {
    let mut command = Command::new(template::programs()?.join("postgres"));
    command.arg("-D").arg(folder.join("data")).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    for option in options {
        command.args(["-c", option]);
    }
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    command.current_dir("/").stdout(log.try_clone()?).stderr(log);
    account.apply(&mut command);
    ProcessTree::spawn(&mut command)
}

async fn wait_until_it_answers(process: &mut ProcessTree, folder: &Path, port: u16) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let Err(error) = super::sql(&url(port), "select 1").await else { return Ok(()) };
        if let Some(status) = process.ended() {
            anyhow::bail!("PostgreSQL ended at start ({status}):\n{}", log(folder));
        }
        anyhow::ensure!(Instant::now() < end, "PostgreSQL does not answer ({error:#}):\n{}", log(folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log(folder: &Path) -> String {
    std::fs::read(folder.join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_keeps_its_data_over_a_kill_and_loses_it_when_wiped() {
        let mut server = Server::start_with(&["max_connections=17"]).await.unwrap();
        assert_eq!(server.sql("show max_connections").await.unwrap()[0][0].as_deref(), Some("17"));
        assert_eq!(server.sql("show fsync").await.unwrap()[0][0].as_deref(), Some("on"));
        server.sql("create table kept (id int)").await.unwrap();
        server.kill();
        assert!(server.sql("select 1").await.is_err());
        server.start_again().await.unwrap();
        server.sql("select * from kept").await.unwrap();
        server.stop().await.unwrap();
        server.start_again().await.unwrap();
        server.wipe().await.unwrap();
        assert!(server.sql("select * from kept").await.is_err());
    }

    #[tokio::test]
    async fn a_frozen_server_answers_nobody_until_it_is_thawed() {
        let server = Server::start().await.unwrap();
        server.freeze().unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(300), server.sql("select 1")).await;
        assert!(asked.is_err(), "it answered: {asked:?}");
        server.thaw().unwrap();
        server.sql("select 1").await.unwrap();
    }
}
