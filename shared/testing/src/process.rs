//! Our own binaries as processes of their own, to be killed, frozen and asked to stop.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::port::Port;
use crate::process_tree::ProcessTree;

/// What everything is built with, as the tests themselves are: one build serves all.
const FEATURES: &str = "report-worker/failpoints,sources/fuzzing";

/// A process that is about to be started.
#[derive(Debug)]
pub struct Builder {
    name: String,
    /// Where the binary is, when it is not this build's.
    folder: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    largest_file: Option<u64>,
}

/// A running process of ours. Killed when dropped, also when the test is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    tree: ProcessTree,
    port: Port,
    /// Of a gateway, which shows its metrics nowhere else.
    metrics: Option<Port>,
    folder: tempfile::TempDir,
}

/// Prepares one of the workspace's binaries: `waitless`, `api`, `report-worker` or `notifier`. Its failpoints are compiled in.
pub fn binary(name: &str) -> Builder {
    Builder { name: name.to_owned(), folder: None, arguments: Vec::new(), environment: Vec::new(), largest_file: None }
}

impl Builder {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Builder {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable, `WAITLESS_DATABASE__URL` for instance.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Takes the binary of another version, from the folder that `make upgrade` built it in and names to the tests.
    ///
    /// # Errors
    /// When no folder is named.
    pub fn of_former_version(mut self) -> anyhow::Result<Builder> {
        let folder =
            crate::environment::variable("WAITLESS_TEST_FORMER").context("run `make upgrade FROM=<revision>`")?;
        self.folder = Some(folder.into());
        Ok(self)
    }

    /// Lets it write no file of more than so many bytes (whole kibibytes): to the process the disk is full then.
    #[must_use]
    pub fn largest_file(mut self, bytes: u64) -> Builder {
        self.largest_file = Some(bytes);
        self
    }

    /// Starts it in a temporary folder of its own, with nothing of Waitless in its environment but what was set, and
    /// `WAITLESS_HTTP__LISTEN` on a free port, and a gateway's `WAITLESS_TELEMETRY__LISTEN` too. Does not wait for anything.
    ///
    /// # Errors
    /// When the binary cannot be built or started.
    pub async fn start(self) -> anyhow::Result<Process> {
        let program = match &self.folder {
            Some(folder) => folder.join(&self.name),
            None => built(&self.name).await?,
        };
        let (port, folder) = (Port::reserve()?, crate::environment::own_folder(&self.name)?);
        let mut command = limited(program, self.largest_file);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WAITLESS_")) {
            command.env_remove(name);
        }
        command.env("WAITLESS_HTTP__LISTEN", format!("127.0.0.1:{}", port.number));
        // A former version may not know this setting.
        let metrics = (self.name == "api" && self.folder.is_none()).then(Port::reserve).transpose()?;
        if let Some(port) = &metrics {
            command.env("WAITLESS_TELEMETRY__LISTEN", format!("127.0.0.1:{}", port.number));
        }
        command.args(&self.arguments).envs(self.environment).current_dir(folder.path());
        let log = std::fs::File::create(folder.path().join("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let tree = ProcessTree::spawn(&mut command)?;
        crate::reaper::register(folder.path(), &[&tree])?;
        crate::reaper::watch(std::process::id(), folder.path())?;
        Ok(Process { name: self.name, tree, port, metrics, folder })
    }

    /// Starts it and waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready within a minute; with what it logged.
    pub async fn start_ready(self) -> anyhow::Result<Process> {
        let mut process = self.start().await?;
        process.wait_until_ready(Duration::from_secs(60)).await?;
        Ok(process)
    }
}

impl Process {
    /// `http://127.0.0.1:<port>` of its gateway or probes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number)
    }

    /// Where its metrics are.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics.as_ref().unwrap_or(&self.port).number)
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.tree.pid()
    }

    /// Its working folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// What it has written to standard output and error.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it ends or is not ready in time; with what it logged.
    pub async fn wait_until_ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        loop {
            let last = match crate::http::get(&format!("{}/readyz", self.url())).await {
                Ok((200, _)) => return Ok(()),
                Ok((status, body)) => format!("{status} {body}"),
                Err(error) => format!("{error:#}"),
            };
            if let Some(status) = self.tree.ended() {
                anyhow::bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.log());
            }
            anyhow::ensure!(Instant::now() < end, "{} is not ready ({last}):\n{}", self.name, self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it with `SIGKILL`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.tree.kill();
    }

    /// Asks it to stop (`SIGTERM`).
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.tree.signal("TERM")
    }

    /// Stops it where it is (`SIGSTOP`).
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.tree.signal_all("STOP")
    }

    /// Lets it go on after [`Process::freeze`].
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.tree.signal_all("CONT")
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it has not in time; with what it logged.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        anyhow::ensure!(self.tree.wait(limit).await, "{} still runs after {limit:?}:\n{}", self.name, self.log());
        self.tree.ended().context("read how the process ended")
    }

    /// Says how it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.tree.ended()
    }

    /// Its resident memory in bytes, read from `/proc`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory it ever had, in bytes, read from `/proc`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn peak_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(field)).context("the memory of a process in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

/// Prepares a program, by a shell where it is limited in what it may write: without the signal it is told by an error.
fn limited(program: PathBuf, largest_file: Option<u64>) -> Command {
    let Some(bytes) = largest_file else { return Command::new(program) };
    let mut command = Command::new("/bin/sh");
    let blocks = bytes / 512;
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(program);
    command
}

/// Returns the path of a binary, built by this run if nobody has: cargo builds those of the package under test only.
///
/// # Errors
/// When it cannot be built.
pub async fn built(name: &str) -> anyhow::Result<PathBuf> {
    let folder = crate::environment::profile_folder()?;
    if crate::environment::variable("WAITLESS_TEST_BUILT").is_none() {
        crate::run::once("binaries", || build(folder.clone())).await?;
    }
    let program = folder.join(name);
    anyhow::ensure!(program.is_file(), "{} is not built: run `cargo build --workspace --bins`", program.display());
    Ok(program)
}

async fn build(folder: PathBuf) -> anyhow::Result<()> {
    let cargo = crate::environment::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut command = tokio::process::Command::new(cargo);
    command.args(["build", "--workspace", "--bins", "--features", FEATURES, "--quiet"]);
    command.arg("--target-dir").arg(crate::environment::target_folder()?);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let output = command.current_dir(workspace).kill_on_drop(true).output().await.context("run cargo")?;
    anyhow::ensure!(output.status.success(), "cannot build: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_has_the_same_features() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        for (file, line) in [("Makefile", "FEATURES := "), ("scripts/test", "features=")] {
            let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
            assert!(
                text.lines().any(|found| found == format!("{line}{FEATURES}")),
                "{file} builds with other features"
            );
        }
    }
}
