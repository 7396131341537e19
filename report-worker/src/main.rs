//! The report worker as a process of its own.

use std::process::ExitCode;

use anyhow::Context as _;
use configuration::{Role, wrong_urls};
use report_worker::Application;
use runtime::probes::Probes;
use runtime::service_args::ServiceArgs;
use runtime::{Backends, process, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    process::run(serve)
}

async fn serve(stop: CancellationToken) -> anyhow::Result<()> {
    let arguments = ServiceArgs::parse("report-worker", "The worker of Waitless: runs reports");
    let config = arguments.load_with(Role::ReportWorker, |config| {
        wrong_urls(config.source_urls(sources::check_url, sources::check_secured_url))
    })?;
    shutdown::limit(config.service.shutdown_grace);
    let _telemetry = telemetry::start(&config.telemetry, "report-worker")?;
    let opened = stop.run_until_cancelled(Backends::open_when_reachable(&config)).await;
    let Some(opened) = opened else { return Ok(()) };
    let (backends, background, opening) = opened?;
    let probes = Probes::bind_all(&config, &backends).await?;
    let worker = Application::build(&config, backends).await?;

    let stop_rest = CancellationToken::new();
    let probing = tokio::spawn(Probes::run_all_until_stopped(probes, stop_rest.clone()));
    let moving = tokio::spawn(background.run_until_stopped(stop_rest.clone()));
    let served = process::serve_while_opening(worker.run_until_stopped(stop), opening).await;
    // What the last jobs committed is passed on before the end.
    stop_rest.cancel();
    moving.await.context("pass on what was committed")?;
    probing.await.context("answer probes")?;
    served
}
