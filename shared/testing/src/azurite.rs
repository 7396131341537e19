//! Azure's blob protocol on loopback, by Azurite, from memory. `scripts/install-azurite` installs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Node reads a large program first.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A running server with one empty container. Ends when dropped.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    _process: Child,
}

impl Azurite {
    /// The name of its container.
    pub const CONTAINER: &str = "artifacts";
    /// The account that every Azurite has.
    pub const ACCOUNT: &str = "devstoreaccount1";
    /// The key of that account, which everybody knows.
    pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// Starts a server.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let installed = installed()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("azurite/serve.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(installed).arg(Self::CONTAINER);
        // It ends when its input does, also when the test is killed.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("start Azurite: is Node installed?")?;
        let out = process.stdout.take().context("read what Azurite says")?;
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(START_WITHIN, lines.next_line());
        let line = line.await.context("Azurite did not start in time")??.context("Azurite ended")?;
        Ok(Self { port: line.trim().parse().context("read Azurite's port")?, _process: process })
    }

    /// `http://127.0.0.1:<port>/devstoreaccount1`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, Self::ACCOUNT)
    }

    /// `az://artifacts`
    #[must_use]
    pub fn url(&self) -> String {
        format!("az://{}", Self::CONTAINER)
    }
}

fn installed() -> anyhow::Result<PathBuf> {
    let cache = crate::environment::cache()?.join("azurite");
    anyhow::ensure!(cache.join("installed.json").exists(), "Azurite is not installed: run scripts/install-azurite");
    Ok(cache)
}
