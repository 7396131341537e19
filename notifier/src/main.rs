//! The notifier as a process of its own: `notifier [--config FILE]`.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use configuration::{Config, Role};
use notifier::Application;
use runtime::Backends;
use runtime::probes::Probes;
use runtime::shutdown;
use runtime::telemetry;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::load(Role::Notifier, config_file()?.as_deref())?;
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

fn config_file() -> anyhow::Result<Option<PathBuf>> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => Ok(None),
        (Some(option), Some(file), None) if option == "--config" => Ok(Some(file.into())),
        _ => bail!("usage: notifier [--config FILE]"),
    }
}
