//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use model::job::JobState;
use store::Scope;
use uuid::Uuid;

/// Turns slow reports into jobs: submit, go on working, get a mail with a link.
///
/// `waitless up` serves everything from one process, with nothing to install. The other commands talk to that server, or to any
/// other gateway named by --url and --key.
#[derive(Debug, Parser)]
#[command(name = "waitless", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 an error, told on standard error; 2 wrong usage; 3 the job failed; \
4 the job was cancelled; 5 the gateway could not be reached for too long, the job may go on; 130 stopped by Ctrl-C, the job goes on.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve everything from one process: gateway, worker, notifier
    Up(Up),
    /// Show it all once: start, run a report on demo data, show file, receipt and mail, stop
    Demo(Demo),
    /// Run a report and fetch its file
    Run(Run),
    /// Make a further format of a finished job from the Parquet file it kept, and fetch it
    Convert(Convert),
    /// List your jobs, newest first
    Jobs(Jobs),
    /// Show one job: progress, files, receipts, error
    Show(Show),
    /// Follow a job to its end
    Watch(Watch),
    /// List the links to a job's files and who opened them, or revoke one
    Links(Links),
    /// Cancel a job; a running query is stopped
    Cancel(OneJob),
    /// Run a failed job again
    Replay(OneJob),
    /// List the reports, or show one with its parameters
    Reports(Reports),
    /// Check a folder of report definitions and say what is wrong, file and line
    Check(Check),
    /// Make, list and revoke API keys, directly on the configured database
    Keys(Keys),
    /// Bring the configured database to this version and end
    Migrate(Migrate),
    /// Print the effective configuration, secrets hidden
    Config(ConfigArgs),
    /// Print a script that completes commands and options in a shell
    Completion {
        /// bash, zsh or fish, among others
        shell: clap_complete::Shell,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Configured {
    /// Configuration file (TOML); the environment (`WAITLESS_<SECTION>__<KEY>`) wins over it
    #[arg(long, value_name = "FILE", env = "WAITLESS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of embedded backends: database, files, mails, key [default: data]
    #[arg(long, value_name = "FOLDER", env = "WAITLESS_SERVICE__DATA_DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Which gateway to talk to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
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
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "WAITLESS_HTTP__LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep everything in this folder [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
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
    pub(crate) fetch: Fetch,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The finished job's id
    pub(crate) id: Uuid,
    /// Format to make; repeat it for several files
    #[arg(long = "format", short, value_name = "FORMAT", required = true)]
    pub(crate) formats: Vec<String>,
    #[command(flatten)]
    pub(crate) fetch: Fetch,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
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
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// With whoever does not answer.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// Give up once the gateway has been out of reach for this long; the job goes on
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) give_up_after: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) job: OneJob,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct OneJob {
    /// The job's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Links {
    /// The job's id
    pub(crate) id: Uuid,
    /// Revoke the link to the file of this format; "all" revokes every one
    #[arg(long, value_name = "FORMAT")]
    pub(crate) revoke: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

#[derive(Debug, Args)]
pub(crate) struct Reports {
    /// Show this report with its parameters
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// How a job is submitted, and what becomes of its files.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Where to put the file; a folder keeps the file's own name [default: its own name, here]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Mail a link to this address too; may be repeated
    #[arg(long = "email", value_name = "ADDRESS")]
    pub(crate) emails: Vec<String>,
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
    pub(crate) patience: Patience,
}

/// For people or for programs.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Folder of `<report>.toml` files [default: catalogue.folder of the configuration, else the demo catalogue]
    pub(crate) folder: Option<PathBuf>,
    /// Also prepare each query at its source, without running it
    #[arg(long)]
    pub(crate) connect: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) configured: Configured,
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
    /// What it may do: read, write, admin; may be repeated
    #[arg(long = "scope", default_values = ["read", "write"])]
    pub(crate) scopes: Vec<Scope>,
    /// It stops working after this time, for example 90d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) expires: Option<Duration>,
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Tenants and principals stand in routing keys, where dots part the words and stars match them.
fn parse_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '.' | '+');
    if text.is_empty() || text.len() > 100 || !text.chars().all(good) {
        return Err("use letters, digits and - _ . @ +, at most 100".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_documentation() {
        let page = include_str!("../../docs/CLI.md");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(page.contains(&format!("`waitless {name}")), "{name} is not in CLI.md");
        }
    }
}
