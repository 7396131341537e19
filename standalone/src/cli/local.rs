//! Commands that work on a configuration: they serve, or go straight to the database and the catalogue.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use model::job::Caller;
use runtime::service_args::ConfigArgs;
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

fn parse_name(text: &str) -> Result<String, String> {
    Caller::check_name(text).map(|()| text.to_owned()).map_err(str::to_owned)
}
