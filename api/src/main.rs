//! The gateway as a process of its own.

use std::process::ExitCode;

use anyhow::Context as _;
use configuration::Role;
use runtime::service_args::ServiceArgs;
use runtime::{Backends, process, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    process::run(serve)
}

async fn serve(stop: CancellationToken) -> anyhow::Result<()> {
    let config =
        ServiceArgs::parse("api", "The gateway of Waitless: takes requests, shows progress").load(Role::Gateway)?;
    shutdown::limit(config.http.close_after.unwrap_or_default() + config.service.shutdown_grace);
    let _telemetry = telemetry::start(&config.telemetry, "api")?;
    let opened = stop.run_until_cancelled(Backends::open_when_reachable(&config)).await;
    let Some(opened) = opened else { return Ok(()) };
    let (backends, background, opening) = opened?;
    let application = api::Application::build(&config, backends).await?;
    tracing::info!(port = application.port(), "the gateway is listening");

    let movers_stop = CancellationToken::new();
    let moving = tokio::spawn(background.run_until_stopped(movers_stop.clone()));
    let served = process::serve_while_opening(application.run_until_stopped(stop), opening).await;
    // After the service, so that what it committed last is still passed on.
    movers_stop.cancel();
    moving.await.context("stop the relay and the sweeper")?;
    served
}
