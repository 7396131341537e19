//! The report worker as a process of its own.

use anyhow::Context as _;
use configuration::{Config, Role};
use report_worker::Application;
use runtime::Backends;
use runtime::probes::Probes;
use runtime::shutdown;
use runtime::telemetry;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().skip_while(|argument| argument != "--config").nth(1);
    let config = Config::load(Role::ReportWorker, file.as_deref().map(std::path::Path::new))?;
    let _telemetry = telemetry::start(&config.telemetry, "report-worker")?;
    let stop = shutdown::on_signal().context("listen to signals")?;
    let (backends, background) = Backends::open(&config).await?;
    let probes = Probes::bind(config.http.listen, backends.clone()).await?;
    let worker = Application::build(&config, backends).await?;

    let stop_rest = CancellationToken::new();
    let probing = tokio::spawn(probes.run_until_stopped(stop_rest.clone()));
    let moving = tokio::spawn(background.run_until_stopped(stop_rest.clone()));
    worker.run_until_stopped(stop).await?;
    // What the last jobs committed is passed on before the end.
    stop_rest.cancel();
    moving.await.context("pass on what was committed")?;
    probing.await.context("answer probes")?;
    Ok(())
}
