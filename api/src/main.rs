//! The gateway as a process of its own.

use anyhow::Context as _;
use configuration::Role;
use runtime::Backends;
use runtime::service_args::ServiceArgs;
use runtime::shutdown;
use runtime::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config =
        ServiceArgs::parse("api", "The gateway of Waitless: takes requests, shows progress").load(Role::Gateway)?;
    let _telemetry = telemetry::start(&config.telemetry, "api")?;
    let stop = shutdown::on_signal().context("listen to signals")?;
    let (backends, background) = Backends::open(&config).await?;
    let application = api::Application::build(&config, backends).await?;
    tracing::info!(port = application.port(), "the gateway is listening");

    let movers_stop = tokio_util::sync::CancellationToken::new();
    let moving = tokio::spawn(background.run_until_stopped(movers_stop.clone()));
    let served = application.run_until_stopped(stop).await;
    // After the service, so that what it committed last is still passed on.
    movers_stop.cancel();
    moving.await.context("stop the relay and the sweeper")?;
    served
}
