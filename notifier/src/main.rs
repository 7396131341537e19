//! The notifier as a process of its own.

use anyhow::{Context as _, ensure};
use configuration::Role;
use notifier::Application;
use runtime::Backends;
use runtime::probes::Probes;
use runtime::service_args::ServiceArgs;
use runtime::shutdown;
use runtime::telemetry;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = ServiceArgs::parse("notifier", "The notifier of Waitless: sends mail").load(Role::Notifier)?;
    ensure!(
        !config.broker.url.expose().starts_with("in-process:"),
        "broker.url is in-process: a notifier of its own would hear of nothing; set amqp://…, or run `waitless up`"
    );
    let _telemetry = telemetry::start(&config.telemetry, "notifier")?;
    let stop = shutdown::on_signal().context("listen to signals")?;
    let (backends, background) = Backends::open(&config).await?;
    let probes = Probes::bind(config.http.listen, backends.clone()).await?;
    let service = Application::build(&config, backends).await?;
    let done = CancellationToken::new();
    let beside = [
        tokio::spawn(background.run_until_stopped(done.clone())),
        tokio::spawn(probes.run_until_stopped(done.clone())),
    ];
    service.run_until_stopped(stop).await?;
    done.cancel();
    for task in beside {
        task.await.context("stop")?;
    }
    Ok(())
}
