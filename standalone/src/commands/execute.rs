//! A command is carried out by its file.

use super::{
    CommandResult, audit, check, completion, config, doctor, erase, jobs, keys, links, migrate, pauses, ready, reports,
    resend, run, schedules, show, up, watch,
};
use crate::cli::Command;
use crate::demo;

pub(crate) async fn execute(command: Command) -> CommandResult {
    match command {
        Command::Up(args) => up::up(args).await,
        Command::Demo(args) => demo::run_demo(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Convert(args) => run::convert(args).await,
        Command::Jobs(args) => jobs::jobs(args).await,
        Command::Show(args) => show::show(args).await,
        Command::Watch(args) => watch::watch(args).await,
        Command::Links(args) => links::links(args).await,
        Command::Cancel(args) => jobs::cancel(args).await,
        Command::Replay(args) => jobs::replay(args).await,
        Command::SendAgain(args) => resend::send_again(args).await,
        Command::Reports(args) => reports::reports(args).await,
        Command::Schedules(args) => schedules::schedules(args).await,
        Command::Check(args) => check::check(args).await,
        Command::Audit(args) => audit::audit(args).await,
        Command::Erase(args) => erase::erase(args).await,
        Command::Keys(args) => keys::keys(args).await,
        Command::Pause(args) => pauses::pause(args).await,
        Command::Resume(args) => pauses::resume(args).await,
        Command::Pauses(args) => pauses::pauses(args).await,
        Command::Migrate(args) => migrate::migrate(args).await,
        Command::Doctor(args) => doctor::doctor(args).await,
        Command::UpgradeCheck(args) => doctor::upgrade_check(args).await,
        Command::Ready(args) => ready::ready(args).await,
        Command::Config(args) => config::config(&args),
        Command::Completion { shell } => completion::completion(shell),
    }
}
