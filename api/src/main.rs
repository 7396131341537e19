//! The gateway as a process of its own.

use std::path::PathBuf;

use anyhow::Context as _;
use configuration::{Config, Role};
use runtime::Backends;
use runtime::shutdown;
use runtime::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let config = Config::load(Role::Gateway, file.as_deref())?;
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
