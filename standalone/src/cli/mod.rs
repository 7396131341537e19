//! What can be said on the command line.

mod gateway;
mod local;
mod schedules;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use runtime::service_args::ServiceArgs;

use crate::terminal;

pub(crate) use gateway::{
    Convert, FetchOptions, GatewayArgs, JobArgs, Jobs, Links, OutageLimit, Reports, Run, SendAgain, Show, Watch,
};
pub(crate) use schedules::{CreateSchedule, ScheduleArgs, Schedules, SchedulesCommand};

pub(crate) use local::{
    Audit, AuditCommand, Check, CreateKey, Demo, Doctor, Erase, Keys, KeysCommand, KnownHead, Migrate, PauseArgs,
    Pauses, PrintConfig, Ready, UpgradeCheck,
};

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

/// Reads the command line. Help, the version, and what is wrong with it are printed, and what is left is the code to end with.
pub(crate) fn read() -> Result<Command, ExitCode> {
    Cli::try_parse().map(|cli| cli.command).map_err(|said| match said.print() {
        Err(error) if !said.use_stderr() && error.kind() != ErrorKind::BrokenPipe => {
            terminal::print_error(format!("Error: {}: {error}", terminal::UNSEEN));
            ExitCode::FAILURE
        }
        _ => u8::try_from(said.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    })
}

const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 an error, told on standard error; 2 wrong usage; 3 the job failed; \
4 the job was cancelled; 5 the gateway could not be reached for too long, the job may go on; 130 stopped by Ctrl-C, the job goes on.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve everything from one process: gateway, worker, notifier
    Up(ServiceArgs),
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
    Cancel(JobArgs),
    /// Run a failed job again
    Replay(JobArgs),
    /// Send mails again that failed, for operators: some, or all since a time
    SendAgain(SendAgain),
    /// List the reports, or show one with its parameters
    Reports(Reports),
    /// Reports that come by themselves: list, show, create, pause, resume, run now, delete
    Schedules(Schedules),
    /// Check a folder of report definitions and say what is wrong, file and line
    Check(Check),
    /// Make, list and revoke API keys, directly on the configured database
    Keys(Keys),
    /// Read the audit log, directly on the configured database, and find out whether it is whole
    Audit(Audit),
    /// Remove whatever is known of a principal, directly on the configured database and storage
    Erase(Erase),
    /// Pause a lane, a report, a source or a tenant, directly on the configured database: its jobs are accepted and wait
    Pause(PauseArgs),
    /// Resume what was paused: its jobs are in line again
    Resume(PauseArgs),
    /// List what is paused, of everybody and of each tenant
    Pauses(Pauses),
    /// Bring the configured database to this version and end
    Migrate(Migrate),
    /// Look at everything the configuration names and say what is well, what is not, and what to do
    Doctor(Doctor),
    /// Before an upgrade: say whether this version can run on what is there, and what it would change
    UpgradeCheck(UpgradeCheck),
    /// Ask a service of this machine whether it is ready, for container runtimes: 0 if it is, 1 and why if not
    Ready(Ready),
    /// Print the effective configuration, secrets hidden
    Config(PrintConfig),
    /// Print a script that completes commands and options in a shell
    Completion {
        /// bash, zsh or fish, among others
        shell: clap_complete::Shell,
    },
}

/// For people or for programs.
#[derive(Debug, Args)]
pub(crate) struct OutputOptions {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_documentation() {
        let page = include_str!("../../../docs/CLI.md");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(page.contains(&format!("`waitless {name}")), "{name} is not in CLI.md");
        }
    }

    /// The documents that say what to type.
    const PAGES: [&str; 7] = [
        include_str!("../../../README.md"),
        include_str!("../../../docs/API.md"),
        include_str!("../../../docs/CATALOGUE.md"),
        include_str!("../../../docs/CLI.md"),
        include_str!("../../../docs/CONFIGURATION.md"),
        include_str!("../../../docs/FRONTEND.md"),
        include_str!("../../../docs/OPERATIONS.md"),
    ];

    /// Everything that begins with `waitless`, in the text and on lines of its own, and words in capitals for what somebody fills in.
    fn typed(page: &str) -> Vec<Vec<String>> {
        let joined = page.replace("\\\n", " ");
        let quoted = joined.split('`').skip(1).step_by(2);
        let lines = joined.lines().map(|line| line.split(" #").next().unwrap_or(line));
        let commands =
            quoted.chain(lines).filter(|command| command.starts_with("waitless ") && !command.contains("COMMAND"));
        let fill_in = |word: &str| match word.trim_matches(['[', ']']) {
            "ID" | "ID…" | "JOB" => "01900000-0000-7000-8000-000000000000".to_owned(),
            "SHELL" => "bash".to_owned(),
            "TIME" => "2026-01-31T12:00:00Z".to_owned(),
            word => word.to_owned(),
        };
        let before_pipe = |command: &str| command.split(['>', '|']).next().unwrap_or_default().to_owned();
        commands.map(|command| before_pipe(command).split_whitespace().map(fill_in).collect()).collect()
    }

    #[test]
    fn every_command_line_of_the_documents_is_understood() {
        let all: Vec<Vec<String>> = PAGES.into_iter().flat_map(typed).collect();
        assert!(all.len() > 30, "only {} command lines found", all.len());
        for words in all {
            let Err(error) = Cli::try_parse_from(&words) else { continue };
            // A command that is only mentioned need not have all that it needs.
            let is_mentioned = words.len() <= 3
                && matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::DisplayHelp
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
            assert!(is_mentioned, "{}: {error}", words.join(" "));
        }
    }
}
