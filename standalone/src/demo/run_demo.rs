//! `waitless demo`: everything is started, one report is run to its end through the HTTP API, shown, and all is stopped.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use configuration::Config;
use model::job::{JobState, Params};
use runtime::shutdown;
use runtime::telemetry;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::preview::preview;
use super::read_mail::wait_for_mail;
use crate::all_in_one::AllInOne;
use crate::cli::Demo;
use crate::client::{
    ArtifactResponse, GatewayClient, JobFollower, JobResponse, Submission, SubmitTarget, fetch_elsewhere,
};
use crate::commands::CommandResult;
use crate::commands::show::{describe_file, key_values};
use crate::progress_reporter::ProgressReporter;
use crate::terminal;

const REPORT: &str = "line-item-export";
const READER: &str = "ana@example.com";
const ROWS: usize = 5;
/// The gateway is in this process: it answers, or never will.
const OUTAGE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run_demo(args: Demo) -> CommandResult {
    let (folder, _temporary) = folder(args.data)?;
    let mut config = Config::embedded(&folder)?;
    config.http.listen = (Ipv4Addr::LOCALHOST, 0).into();
    "warn".clone_into(&mut config.telemetry.log);
    let _telemetry = telemetry::start(&config.telemetry, "demo")?;
    let stop = shutdown::on_signal().context("listen to signals")?;

    let started = Instant::now();
    let mut bar = ProgressReporter::new();
    let mut on_progress = |done, total| bar.show("making 300 000 line items of demo data", done, Some(total));
    let everything = AllInOne::build(config, &mut on_progress).await.context("start everything")?;
    bar.clear();
    terminal::print(format!(
        "Gateway, worker and notifier are running on {} (started in {}).",
        everything.address,
        terminal::format_duration(started.elapsed())
    ))?;
    let gateway = GatewayClient::new(&everything.address, everything.key.clone())?;
    let services_stop = CancellationToken::new();
    let mut serving = tokio::spawn(everything.run_until_stopped(services_stop.clone()));
    tokio::select! {
        shown = show_one_report(&gateway, &folder) => shown?,
        ended = &mut serving => {
            ended.context("run everything")??;
            bail!("everything stopped by itself");
        }
        () = stop.cancelled() => bail!("the demo was interrupted"),
    }
    services_stop.cancel();
    serving.await.context("stop everything")??;
    terminal::print(format!(
        "\nEverything is stopped again, after {} in all.\n\n{HOW_TO_GO_ON}",
        terminal::format_duration(started.elapsed())
    ))?;
    Ok(ExitCode::SUCCESS)
}

const HOW_TO_GO_ON: &str = "How to go on:
  waitless up                      serve on http://127.0.0.1:8080 (in a clone: `make run`); prints a link that
                                   opens the console, signed in: every report, one click away
  waitless reports                 what can be run
  waitless run top-customers       run a report and fetch its file
  catalogue/*.toml                 the reports; add a file and it is a validated, asynchronous, retried endpoint";

/// Takes the named folder, or a temporary one that goes when the guard is dropped.
fn folder(named: Option<PathBuf>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    match named {
        Some(folder) => Ok((folder, None)),
        None => {
            let temporary =
                tempfile::Builder::new().prefix("waitless-demo-").tempdir().context("make a temporary folder")?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}

async fn show_one_report(gateway: &GatewayClient, folder: &Path) -> anyhow::Result<()> {
    let job = run_report(gateway).await?;
    let artifact = job.artifacts.first().context("the job is done, but has no file")?;
    let path = folder.join(&artifact.filename);
    let receipt = gateway.download(job.id, &artifact.format, &path).await?;
    terminal::print(format!("\nThe first rows of {}:\n\n{}", artifact.filename, preview(&path, ROWS)?))?;
    terminal::print(format!(
        "\nIts receipt; what arrived has this SHA-256:\n\n{}",
        key_values(&describe_file(artifact, &receipt))
    ))?;

    let mail = wait_for_mail(&folder.join("mail"), &artifact.link).await?;
    terminal::print("\nThe mail that tells the reader:\n")?;
    terminal::print(key_values(&[("To", mail.to), ("Subject", mail.subject), ("Link", mail.link)]))?;
    open_link(artifact).await?;
    terminal::print("\nThe link was opened, without a key, and gave the same file.")?;
    tokio::fs::remove_file(&path).await.context("remove the fetched file")
}

async fn run_report(gateway: &GatewayClient) -> anyhow::Result<JobResponse> {
    let mut params = Params::new();
    params.insert("shipped_from".to_owned(), json!("1994-01-01"));
    params.insert("ship_modes".to_owned(), json!(["AIR", "RAIL", "SHIP", "TRUCK"]));
    let submission = Submission {
        keep_others: false,
        target: SubmitTarget::Report { report: REPORT.to_owned(), params },
        formats: vec!["csv".to_owned()],
        emails: vec![READER.to_owned()],
        webhooks: Vec::new(),
        idempotency_key: Uuid::new_v4().to_string(),
    };
    let mut bar = ProgressReporter::new();
    let submitted = gateway.submit(&submission, |_| {}).await.context("submit a report")?;
    bar.say(&format!(
        "POST /v1/jobs for {REPORT} was answered with 202 in {}: job {}.",
        terminal::format_duration(submitted.took),
        submitted.job.id
    ));
    let job =
        JobFollower::new(gateway, submitted.job.id, OUTAGE_LIMIT).follow(&mut bar).await.context("follow the job")?;
    bar.clear();
    if job.state != JobState::Done {
        let why = job.error.map(|error| error.detail).unwrap_or_default();
        bail!("the job is {}, not done. {why}", job.state);
    }
    terminal::print(format!(
        "The report is done after {}.",
        terminal::format_elapsed(job.started_at, job.finished_at)
    ))?;
    Ok(job)
}

/// Does what the reader of the mail does.
async fn open_link(artifact: &ArtifactResponse) -> anyhow::Result<()> {
    let link = artifact.link.parse().context("open the link of the mail")?;
    let answer = fetch_elsewhere(link, None).await.context("open the link of the mail")?;
    ensure!(answer.status().is_success(), "the link of the mail answers {}", answer.status());
    let file = answer.bytes().await.context("open the link of the mail")?;
    ensure!(hex::encode(Sha256::digest(&file)) == artifact.sha256, "the link of the mail gives another file");
    Ok(())
}
