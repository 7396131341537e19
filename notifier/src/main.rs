//! The notifier as a process of its own.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use configuration::Role;
use notifier::Application;
use runtime::probes::Probes;
use runtime::service_args::ServiceArgs;
use runtime::{Backends, process, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    process::run(serve)
}

async fn serve(stop: CancellationToken) -> anyhow::Result<()> {
    let config = ServiceArgs::parse("notifier", "The notifier of Waitless: sends mail").load(Role::Notifier)?;
    ensure!(
        !config.broker.url.expose().starts_with("in-process:"),
        "broker.url is in-process: a notifier of its own would hear of nothing; set amqp://…, or run `waitless up`"
    );
    shutdown::limit(config.service.shutdown_grace);
    let _telemetry = telemetry::start(&config.telemetry, "notifier")?;
    let opened = stop.run_until_cancelled(Backends::open_when_reachable(&config)).await;
    let Some(opened) = opened else { return Ok(()) };
    let (backends, background, opening) = opened?;
    let probes = Probes::bind_all(&config, &backends).await?;
    let service = Application::build(&config, backends).await?;
    let done = CancellationToken::new();
    let beside = [
        tokio::spawn(background.run_until_stopped(done.clone())),
        tokio::spawn(Probes::run_all_until_stopped(probes, done.clone())),
    ];
    let served = process::serve_while_opening(service.run_until_stopped(stop), opening).await;
    done.cancel();
    for task in beside {
        task.await.context("stop")?;
    }
    served
}
