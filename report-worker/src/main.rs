//! The report worker as a process of its own.

use anyhow::Context as _;
use configuration::{Role, check_urls};
use report_worker::Application;
use runtime::Backends;
use runtime::probes::Probes;
use runtime::service_args::ServiceArgs;
use runtime::shutdown;
use runtime::telemetry;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config =
        ServiceArgs::parse("report-worker", "The worker of Waitless: runs reports").load(Role::ReportWorker)?;
    check_urls(config.source_urls(sources::check_url))?;
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
