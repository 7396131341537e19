//! `waitless up`: everything in one process.

use std::process::ExitCode;

use anyhow::Context as _;
use configuration::{Config, Role};
use runtime::shutdown;
use runtime::telemetry;

use super::{Outcome, load};
use crate::all_in_one::AllInOne;
use crate::bar::Bar;
use crate::cli::Up;
use crate::data_folder::DataFolder;
use crate::screen;

pub(crate) async fn up(args: Up) -> Outcome {
    let mut config = load(Role::AllInOne, &args.configured)?;
    if let Some(listen) = args.listen {
        config.http.listen = listen;
    }
    let _telemetry = telemetry::start(&config.telemetry, "standalone")?;
    let stop = shutdown::on_signal().context("listen to signals")?;
    let mut bar = Bar::new();
    let mut making = |done, total| bar.show("making the demo data", done, Some(total));
    let everything = AllInOne::build(config.clone(), &mut making).await?;
    bar.clear();
    screen::line(welcome(&config, &everything));
    everything.run_until_stopped(stop).await?;
    Ok(ExitCode::SUCCESS)
}

fn welcome(config: &Config, everything: &AllInOne) -> String {
    let key_file = DataFolder::new(&config.service.data_dir).key_file();
    let key_file = key_file.display();
    let address = &everything.address;
    let link = &everything.sign_in_link;
    let data = config.service.data_dir.display();
    let data = if data.to_string() == "data" { String::new() } else { format!(" --data {data}") };
    format!(
        "Waitless listens on {address}. The API key is in {key_file}.

Open the console; the link signs in once, within an hour:
  {link}

From another terminal:
  waitless reports{data}
  waitless run pricing-summary{data}
  curl -H \"Authorization: Bearer $(cat {key_file})\" -H 'Content-Type: application/json' \\
       -d '{{\"report\": \"pricing-summary\"}}' {address}/v1/jobs

Ctrl-C stops it; running jobs go on at the next start."
    )
}
