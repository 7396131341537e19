//! A RabbitMQ server of one test alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::account::Account;
use crate::port::Port;
use crate::process_tree::ProcessTree;
use crate::run::StartedServer;

use super::installation::{self, Ports};
use super::management::Management;

/// What is special about a server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Turns the management plugin on, which costs two seconds at the start.
    pub management: bool,
    /// Lines of `rabbitmq.conf`, for example `consumer_timeout = 10000`.
    pub configuration: Vec<String>,
}

/// A running server. Killed with all its processes and deleted with this value, also when the test is killed.
#[derive(Debug)]
pub struct Server {
    broker: Option<ProcessTree>,
    mapper: Option<ProcessTree>,
    ports: ReservedPorts,
    options: Options,
    account: Account,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct ReservedPorts([Port; 4]);

impl ReservedPorts {
    fn new() -> anyhow::Result<ReservedPorts> {
        Ok(ReservedPorts([Port::reserve()?, Port::reserve()?, Port::reserve()?, Port::reserve()?]))
    }

    fn numbers(&self) -> Ports {
        let [amqp, management, distribution, epmd] = [0, 1, 2, 3].map(|at: usize| self.0[at].number);
        Ports { amqp, management, distribution, epmd }
    }
}

impl Server {
    /// Starts a server with default settings and no plugins.
    ///
    /// # Errors
    /// When RabbitMQ is not installed or does not start; says what to do, with the end of its log.
    pub async fn start() -> anyhow::Result<Server> {
        Server::start_with(Options::default()).await
    }

    /// Starts a server with settings of its own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(options: Options) -> anyhow::Result<Server> {
        let account = Account::choose(&["rabbitmq", "nobody"])?;
        let folder = crate::environment::own_folder("rabbitmq")?;
        let ports = ReservedPorts::new()?;
        crate::reaper::watch(std::process::id(), folder.path())?;
        let mut server = Server { broker: None, mapper: None, ports, options, account, folder };
        server.start_again().await?;
        Ok(server)
    }

    /// `amqp://guest:guest@127.0.0.1:<port>/%2f`
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port())
    }

    /// The port it listens on, also while it is stopped.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.numbers().amqp
    }

    /// Starts it again on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer within two minutes, with the end of its log.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let (ports, folder) = (self.ports.numbers(), self.folder.path());
        let started = spawn(folder, ports, &self.options, self.account).await;
        let [mapper, mut broker] = started?;
        crate::reaper::register(folder, &[&broker, &mapper])?;
        wait_until_it_answers(&mut broker, folder, ports, self.options.management).await?;
        (self.broker, self.mapper) = (Some(broker), Some(mapper));
        Ok(())
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut broker) = self.broker.take() else { return Ok(()) };
        broker.signal("TERM")?;
        anyhow::ensure!(broker.wait(Duration::from_secs(60)).await, "RabbitMQ does not stop");
        self.mapper = None;
        Ok(())
    }

    /// Kills all its processes with `SIGKILL`.
    pub fn kill(&mut self) {
        (self.broker, self.mapper) = (None, None);
    }

    /// Stops all its processes where they are (`SIGSTOP`): connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.broker.as_ref().context("RabbitMQ does not run")?.signal_all("STOP")
    }

    /// Lets it go on after [`Server::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.broker.as_ref().context("RabbitMQ does not run")?.signal_all("CONT")
    }

    /// Loses its disk: kills it, and starts an empty server on the same port.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn wipe(&mut self) -> anyhow::Result<()> {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("data")).context("delete the data of RabbitMQ")?;
        self.start_again().await
    }

    /// Runs `rabbitmqctl` (a second or two) and returns what it prints.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut ctl = installation::command("rabbitmqctl", self.folder.path(), self.ports.numbers(), self.account)?;
        ctl.arg("--quiet").args(arguments).stdin(Stdio::null());
        let output = tokio::process::Command::from(ctl).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(60), output).await.context("rabbitmqctl hangs")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{}{}", text(&output.stderr), text(&output.stdout));
        anyhow::ensure!(output.status.success(), "rabbitmqctl {arguments:?} failed: {said}");
        Ok(text(&output.stdout))
    }

    /// Leaves a quorum queue without a leader for ever: with its members forgotten and started as new ones, which is what the server
    /// itself does at its start when it was killed soon after the queue was declared.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn silence_queue(&self, queue: &str) -> anyhow::Result<()> {
        let forget = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{Name, Node}} = amqqueue:get_pid(Q), ok = ra:force_delete_server(quorum_queues, {{Name, Node}}), \
             rabbit_quorum_queue:recover(<<\"/\">>, [Q]), {{timeout, _}} = ra:members({{Name, Node}}, 500), silent."
        );
        self.ctl(&["eval", &forget]).await.map(drop)
    }

    /// Leaves a quorum queue without a member for ever: the server has it in its tables, and no process for it. That is what the server
    /// finds at its start when the queue was deleted, declared anew, and the server killed before it had written that down.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn break_queue(&self, queue: &str) -> anyhow::Result<()> {
        let forget = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{Name, Node}} = amqqueue:get_pid(Q), ok = ra:force_delete_server(quorum_queues, {{Name, Node}}), broken."
        );
        self.ctl(&["eval", &forget]).await.map(drop)
    }

    /// Calls the management API of the virtual host `/`, where [`Options::management`] is on; `path` starts with `/api/`, and
    /// `{vhost}` in it stands for that virtual host.
    ///
    /// # Errors
    /// When the plugin is off, or answers anything but 2xx.
    pub async fn manage(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        anyhow::ensure!(self.options.management, "the management plugin of this server is off");
        let management = Management::new(&management_url(self.ports.numbers()))?;
        management.call(method, &path.replace("{vhost}", "%2f"), body).await
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Starts the server all tests of a run share.
    pub(crate) async fn start_for_run(folder: PathBuf) -> anyhow::Result<StartedServer> {
        let account = Account::choose(&["rabbitmq", "nobody"])?;
        let reserved = ReservedPorts::new()?;
        let ports = reserved.numbers();
        std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        let options = Options { management: true, configuration: Vec::new() };
        let [mapper, mut broker] = spawn(&folder, ports, &options, account).await?;
        wait_until_it_answers(&mut broker, &folder, ports, true).await?;
        let amqp = format!("amqp://guest:guest@127.0.0.1:{}", ports.amqp);
        Ok(StartedServer { address: format!("{amqp} {}", management_url(ports)), processes: vec![broker, mapper] })
    }
}

fn management_url(ports: Ports) -> String {
    format!("http://guest:guest@127.0.0.1:{}", ports.management)
}

async fn spawn(folder: &Path, ports: Ports, options: &Options, account: Account) -> anyhow::Result<[ProcessTree; 2]> {
    let mut server = installation::command("rabbitmq-server", folder, ports, account)?;
    installation::configure(folder, ports, options.management, &options.configuration)?;
    let output = std::fs::File::create(folder.join("output"))?;
    account.give(folder)?;
    let mut mapper = ProcessTree::spawn(&mut installation::port_mapper(ports, account)?)?;
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", ports.epmd)).await.is_err() {
        anyhow::ensure!(mapper.ended().is_none() && Instant::now() < end, "Erlang's port mapper does not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stdout(output.try_clone()?).stderr(output);
    Ok([mapper, ProcessTree::spawn(&mut server)?])
}

async fn wait_until_it_answers(
    broker: &mut ProcessTree,
    folder: &Path,
    ports: Ports,
    management: bool,
) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let Err(error) = answers(ports, management).await else { return Ok(()) };
        if let Some(status) = broker.ended() {
            anyhow::bail!("RabbitMQ ended at start ({status}):\n{}", log(folder));
        }
        anyhow::ensure!(Instant::now() < end, "RabbitMQ does not answer ({error:#}):\n{}", log(folder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Says hello, and is satisfied by the broker's `connection.start`.
async fn answers(ports: Ports, management: bool) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", ports.amqp)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut first = [0_u8; 1];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut first)).await??;
    if management {
        Management::new(&management_url(ports))?.call("GET", "/api/whoami", None).await?;
    }
    Ok(())
}

fn log(folder: &Path) -> String {
    let logs = std::fs::read_dir(folder.join("log")).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = std::iter::once(folder.join("output")).chain(logs.filter(|path| path.is_file()));
    all.filter_map(|path| std::fs::read(path).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_survives_a_kill_and_forgets_all_when_wiped() {
        let options = Options { management: true, configuration: vec!["consumer_timeout = 10000".to_owned()] };
        let mut server = Server::start_with(options).await.unwrap();
        let timeout = server.ctl(&["eval", "application:get_env(rabbit, consumer_timeout)."]).await.unwrap();
        assert!(timeout.contains("10000"), "{timeout}");
        let quorum = serde_json::json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        server.manage("PUT", "/api/queues/{vhost}/kept", Some(&quorum)).await.unwrap();
        server.kill();
        assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
        server.start_again().await.unwrap();
        server.manage("GET", "/api/queues/{vhost}/kept", None).await.unwrap();
        server.wipe().await.unwrap();
        assert!(server.manage("GET", "/api/queues/{vhost}/kept", None).await.is_err());
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_frozen_server_answers_nobody_until_it_is_thawed() {
        let server = Server::start().await.unwrap();
        let ports = server.ports.numbers();
        server.freeze().unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(300), answers(ports, false)).await;
        assert!(asked.is_err(), "it answered: {asked:?}");
        server.thaw().unwrap();
        answers(ports, false).await.unwrap();
    }
}
