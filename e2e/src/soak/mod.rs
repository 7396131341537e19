//! A storm: everything happens to a system at random while it works, for as long as one likes, and then the whole history is judged.
//!
//! One seed decides which faults come, in which order, and how long each lasts. When they meet which job is left to the machine: two runs
//! of one seed are alike and not the same.

mod aftermath;
mod broker_faults;
mod database_faults;
mod hook_faults;
mod load;
mod mail_faults;
mod plan;
mod process_faults;
mod progress;
mod report;
mod schedules;
mod setting;
mod storage_faults;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::stack::Stack;
use process_faults::Group;
use tally::Tally;

pub use plan::{Plan, StorageKind};
pub use report::Report;

/// Runs the storm to its end. Says on standard error how it goes.
///
/// # Errors
/// When a server or process cannot be started at all: then nothing was tested.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut setting = setting::prepare(plan).await?;
    let tally = Tally::start(plan.duration);
    let version = setting::versions(&setting.stack).await?;
    tally.say(&format!("seed {}, {} on {version}", plan.seed, plan.storage));
    let watching = tokio::spawn(progress::show(Arc::clone(&tally), Arc::clone(&setting.stack.store)));
    let loads = load::start(plan, &setting.stack.client, &tally);
    let endings = blow(plan, &mut setting, &tally).await?;
    tally.say("the storm is over; what it left behind comes to its end");
    let mut history = aftermath::settle(plan, &mut setting, &tally, loads).await?;
    history.endings.extend(endings);
    watching.abort();
    let verdict = history.judge();
    let report = Report::new(plan, version, &tally, verdict);
    if let (Some(folder), false) = (&plan.keep, report.clean) {
        let file = folder.join("history.json");
        std::fs::write(&file, serde_json::to_vec(&history)?).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(report)
}

/// Lets every kind of fault come, each in a loop of its own, so that they meet each other too.
async fn blow(plan: &Plan, setting: &mut setting::Setting, tally: &Tally) -> anyhow::Result<Vec<String>> {
    let setting::Setting { stack, smtp_proxy, endpoint, clocks, storage } = setting;
    let Stack { gateways, workers, notifiers, rabbitmq, postgres, smtp, client, settings, config, .. } = stack;
    let group = |binary, processes, clock| Group {
        binary,
        processes,
        settings,
        clock,
        plan,
        tally,
        client,
        endings: Vec::new(),
    };
    let mut gateways = group("api", gateways, Some(&clocks[0]));
    let mut workers = group("report-worker", workers, None);
    let mut notifiers = group("notifier", notifiers, Some(&clocks[1]));
    let rabbitmq = rabbitmq.server_mut();
    let jobs = || client.some_jobs(40);
    tokio::try_join!(
        gateways.blow(),
        workers.blow(),
        notifiers.blow(),
        broker_faults::blow(plan, rabbitmq, &config.broker, jobs, tally),
        database_faults::blow(plan, postgres, tally),
        storage_faults::blow(plan, storage, tally),
        mail_faults::blow(plan, smtp, smtp_proxy, tally),
        hook_faults::blow(plan, endpoint, tally),
        async {
            schedules::make(plan, client, tally).await;
            anyhow::Ok(())
        },
    )?;
    Ok([gateways.endings, workers.endings, notifiers.endings].concat())
}

/// Waits; shorter when the storm ends before.
async fn pause(tally: &Tally, time: Duration) {
    tokio::time::sleep(time.min(tally.left())).await;
}
