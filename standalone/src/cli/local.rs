//! Commands that work on a configuration: they serve, or go straight to the database and the catalogue.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use model::attributes::Attributes;
use model::audit::ChainEnd;
use model::job::Caller;
use model::pause::PauseKind;
use runtime::service_args::ConfigArgs;
use serde_json::Value;
use store::Scope;
use uuid::Uuid;

use super::OutputOptions;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep everything in this folder [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Folder of `<report>.toml` files [default: catalogue.folder of the configuration, else the demo catalogue]
    pub(crate) folder: Option<PathBuf>,
    /// Also prepare each query at its source, without running it
    #[arg(long)]
    pub(crate) connect: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PrintConfig {
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Ready {
    /// Where the process serves its probes [default: what the `waitless up` of the data folder wrote down, else http.listen]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Send a mail to this address, to see that it arrives
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail_to: Option<String>,
    /// Count what is to be looked at as a failure too
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeCheck {
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// lane, report, source or tenant
    pub(crate) kind: PauseKind,
    /// Its name
    pub(crate) name: String,
    /// Only for jobs of this tenant [default: everybody's]
    #[arg(long, value_parser = parse_name)]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Pauses {
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it, once: only its hash is kept
    Create(CreateKey),
    /// List keys, newest first, without the keys themselves
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make a key useless; gateways notice within seconds
    Revoke {
        /// The key's id, from `keys list`
        id: Uuid,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// Whose data the key opens
    #[arg(long, default_value = "default", value_parser = parse_name)]
    pub(crate) tenant: String,
    /// Who uses it: jobs belong to the principal that submitted them
    #[arg(long, default_value = "cli", value_parser = parse_name)]
    pub(crate) principal: String,
    /// What it may do: read, write, admin, backlog, mint; may be repeated [default: read and write, or what its roles allow]
    #[arg(long = "scope")]
    pub(crate) scopes: Vec<Scope>,
    /// What is known of whoever uses it, for reports that read it; may be repeated. The value is JSON, or else a text:
    /// `region=EU`, `level=3`, `customers=[4711, 4712]`, `zip="01234"`
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    pub(crate) attributes: Vec<(String, Value)>,
    /// A role of the configuration: what it may do besides, and which reports it sees; may be repeated
    #[arg(long = "role", value_name = "NAME")]
    pub(crate) roles: Vec<String>,
    /// It stops working after this time, for example 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) expires: Option<Duration>,
    /// Take the key from this file (`wl_` and 32 letters, digits, - and _ or more), where others read it, too; a key that is there stays
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

fn parse_attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for example region=EU")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let said = (name.to_owned(), value);
    let checked = Attributes::new([said.clone()]);
    checked.map(|_| said).map_err(|faults| faults.into_iter().map(|fault| fault.detail).collect::<Vec<_>>().join("; "))
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the log as JSON Lines, one chain after the other, and on standard error how far each goes
    Export {
        /// Only this tenant's; "" for what belongs to none [default: all]
        #[arg(long)]
        tenant: Option<String>,
        /// Only from this time on, for example 2026-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
    },
    /// Find out whether the log is whole: 0 if it is, 1 and the first row that does not fit if not
    Verify {
        /// Only this tenant's chain [default: all]
        #[arg(long)]
        tenant: Option<String>,
        /// Look at a file that was exported, in place of the database
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A head that was told earlier, as `tenant=number:hash`: its row must still be there; may be repeated
        #[arg(long = "head", value_name = "HEAD", value_parser = parse_head)]
        heads: Vec<KnownHead>,
        /// Print JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Of which tenant
    #[arg(long, value_parser = parse_name)]
    pub(crate) tenant: String,
    /// Who is erased
    #[arg(long, value_parser = parse_name)]
    pub(crate) principal: String,
    /// Only say what there is
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// How far a chain went, as somebody kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownHead {
    pub(crate) tenant: String,
    pub(crate) head: ChainEnd,
}

fn parse_head(text: &str) -> Result<KnownHead, String> {
    let (tenant, head) = text.rsplit_once('=').ok_or("write a head as it was told: tenant=number:hash")?;
    Ok(KnownHead { tenant: tenant.to_owned(), head: head.parse().map_err(str::to_owned)? })
}

fn parse_name(text: &str) -> Result<String, String> {
    Caller::check_name(text).map(|()| text.to_owned()).map_err(str::to_owned)
}
