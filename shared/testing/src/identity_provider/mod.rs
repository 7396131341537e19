//! Identity providers: a real one (the npm package oidc-provider, which `scripts/install-identity-provider` installs), and one that says
//! and signs whatever a test wants.

mod made_up;
mod signing_key;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub use made_up::{MadeUpAnswer, MadeUpProvider};
pub use signing_key::{SigningKey, assemble};

/// Node reads a large program first.
const WITHIN: Duration = Duration::from_secs(90);

/// A running provider. Ends when dropped.
#[derive(Debug)]
pub struct IdentityProvider {
    port: u16,
    settings: Value,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    _process: Child,
    orders: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl IdentityProvider {
    /// Starts one. `settings` are those of `serve.mjs`.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(settings: Value) -> anyhow::Result<Self> {
        let (port, running) = run(0, &settings).await?;
        Ok(Self { port, settings, running: Some(running) })
    }

    /// Returns what its tokens say in `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Signs with a new key from now on.
    ///
    /// # Errors
    /// When it does not run or does not answer.
    pub async fn rotate(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().context("the identity provider is down")?;
        running.orders.write_all(b"rotate\n").await?;
        let said = tokio::time::timeout(WITHIN, running.says.next_line()).await.context("it does not answer")??;
        anyhow::ensure!(said.as_deref() == Some("rotated"), "it says {said:?}");
        Ok(())
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        if let Some(Running { mut _process, orders, says: _ }) = self.running.take() {
            drop(orders);
            // Killed when dropped, in case that it does not end by itself.
            drop(tokio::time::timeout(WITHIN, _process.wait()).await);
        }
    }

    /// Starts it again at the same address, with other keys: it remembers nothing.
    ///
    /// # Errors
    /// As [`IdentityProvider::start`].
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let (_, running) = run(self.port, &self.settings).await?;
        self.running = Some(running);
        Ok(())
    }
}

async fn run(port: u16, settings: &Value) -> anyhow::Result<(u16, Running)> {
    let installed = installed()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("identity-provider/serve.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(installed).arg(port.to_string()).arg(settings.to_string());
    // It ends when its input does, also when the test is killed.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().context("start the identity provider: is Node installed?")?;
    let orders = process.stdin.take().context("tell the identity provider something")?;
    let out = process.stdout.take().context("read what the identity provider says")?;
    let mut says = BufReader::new(out).lines();
    let line = tokio::time::timeout(WITHIN, says.next_line()).await;
    let line = line.context("the identity provider did not start in time")??.context("the identity provider ended")?;
    let port = line.trim().parse().context("read the identity provider's port")?;
    Ok((port, Running { _process: process, orders, says }))
}

fn installed() -> anyhow::Result<PathBuf> {
    let cache = crate::environment::cache()?.join("identity-provider");
    let advice = "the identity provider of the tests is not installed: run scripts/install-identity-provider";
    anyhow::ensure!(cache.join("installed.json").exists(), advice);
    Ok(cache)
}
