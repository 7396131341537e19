//! Commands that talk to a gateway.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use model::job::JobState;
use uuid::Uuid;

use super::OutputOptions;

/// Which gateway to talk to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct GatewayArgs {
    /// Address of the gateway [default: that of `waitless up` in the data folder, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "WAITLESS_URL")]
    pub(crate) url: Option<String>,
    /// API key [default: for a gateway on this machine, the one in the data folder]
    #[arg(long, value_name = "KEY", env = "WAITLESS_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Data folder of the `waitless up` to talk to
    #[arg(long, value_name = "FOLDER", env = "WAITLESS_SERVICE__DATA_DIR", default_value = "data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Name of the report; `waitless reports` lists them
    pub(crate) report: String,
    /// A parameter; repeat it for the elements of a list
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,
    /// Format of the file; repeat it for several files from one run [default: the report's first]
    #[arg(long = "format", short, value_name = "FORMAT")]
    pub(crate) formats: Vec<String>,
    #[command(flatten)]
    pub(crate) fetch: FetchOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The finished job's id
    pub(crate) id: Uuid,
    /// Format to make; repeat it for several files
    #[arg(long = "format", short, value_name = "FORMAT", required = true)]
    pub(crate) formats: Vec<String>,
    #[command(flatten)]
    pub(crate) fetch: FetchOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

/// How a job is submitted, and what becomes of its files.
#[derive(Debug, Args)]
pub(crate) struct FetchOptions {
    /// Where to put the file; a folder keeps the file's own name [default: its own name, here]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where a format cannot hold the rows, make the other ones all the same; exit code 6 says that one is missing
    #[arg(long)]
    pub(crate) keep_others: bool,
    /// Mail a link to this address too; may be repeated
    #[arg(long = "email", value_name = "ADDRESS")]
    pub(crate) emails: Vec<String>,
    /// Tell this webhook of the configuration too; may be repeated
    #[arg(long = "webhook", value_name = "NAME")]
    pub(crate) webhooks: Vec<String>,
    /// Only submit: print the job's id and end
    #[arg(long, conflicts_with_all = ["out", "wait"])]
    pub(crate) detach: bool,
    /// Wait for the job to end, and fetch no file
    #[arg(long, conflicts_with = "out")]
    pub(crate) wait: bool,
    /// The same key with the same request is the same job [default: a new one]
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) outage_limit: OutageLimit,
}

/// With whoever does not answer.
#[derive(Debug, Args)]
pub(crate) struct OutageLimit {
    /// Give up once the gateway has been out of reach for this long; the job goes on
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) give_up_after: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Jobs {
    /// Only jobs in this state: pending, processing, retrying, done, failed or cancelled
    #[arg(long)]
    pub(crate) state: Option<JobState>,
    /// Only jobs of this report
    #[arg(long)]
    pub(crate) report: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) outage_limit: OutageLimit,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The job's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SendAgain {
    /// Ids of failed deliveries; GET /v1/admin/deliveries?state=failed lists them
    #[arg(required_unless_present = "failed_since")]
    pub(crate) ids: Vec<Uuid>,
    /// All that failed then or later, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "ids")]
    pub(crate) failed_since: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Links {
    /// The job's id
    pub(crate) id: Uuid,
    /// Revoke the link to the file of this format; "all" revokes every one
    #[arg(long, value_name = "FORMAT")]
    pub(crate) revoke: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Reports {
    /// Show this report with its parameters
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

pub(super) fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
