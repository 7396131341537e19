//! After the storm: everything comes to its end, and the history is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::message::Queue;
use testing::process::Process;
use tokio::task::JoinHandle;

use super::load::Watched;
use super::plan::Plan;
use super::process_faults::{keep_log, stop};
use super::schedules;
use super::setting::Setting;
use super::tally::Tally;
use crate::history::{self, Evidence, History};
use crate::stack::{Stack, caller};

/// What waits when the storm ends is through by then, and no queue holds anything.
const SETTLES_WITHIN: Duration = Duration::from_secs(420);
/// Who has ended is gone from every server by then.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Waits for the end of every job and mail, stops all processes, and reads what is there.
pub(super) async fn settle(
    plan: &Plan,
    setting: &mut Setting,
    tally: &Tally,
    loads: Vec<JoinHandle<Watched>>,
) -> anyhow::Result<History> {
    let (mut watched, mut endings) = (Vec::new(), Vec::new());
    for load in loads {
        match tokio::time::timeout(SETTLES_WITHIN, load).await {
            Ok(Ok(seen)) => watched.extend(seen),
            Ok(Err(panic)) => endings.push(format!("a client gave up: {panic}")),
            Err(_) => endings.push(format!("a client was not through {SETTLES_WITHIN:?} after the storm")),
        }
    }
    let stack = &mut setting.stack;
    let paused = schedules::pause_all(stack).await;
    if let Err(left) = until(SETTLES_WITHIN, async || all_ended(stack).await).await {
        endings.push(format!("not through {SETTLES_WITHIN:?} after the storm: {left}"));
    }
    let _counted_below = until(SETTLES_WITHIN, async || match messages(stack).await {
        Ok(left) if left.iter().all(|(_, messages)| *messages == 0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let messages = messages(stack).await?;
    tally.say("all jobs and mails have ended; now the processes");
    endings.extend(stop_all(plan, stack, tally).await);
    tally.say("reading the history");
    let evidence = Evidence {
        store: Arc::clone(&stack.store),
        mails: stack.smtp.mails(),
        artifacts: setting.storage.as_ref().map_or_else(|| stack.artifacts(), |(s3, _)| s3.path("")),
        config: stack.config.clone(),
        caller: caller(),
    };
    let mut history = history::gather(&stack.client.operations(), evidence).await;
    history.schedules = schedules::gather(stack, paused).await;
    history.hooks = setting.endpoint.taken().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    history.uncovered.extend(stack.coverage.uncovered());
    (history.watched, history.endings, history.messages) = (watched, endings, messages);
    history.connections = until(GONE_WITHIN, async || connections(setting).await).await.err().into_iter().collect();
    Ok(history)
}

/// Looks until there is nothing to say, and returns what there was to say last.
async fn until(limit: Duration, mut look: impl AsyncFnMut() -> Result<(), String>) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(()) => return Ok(()),
            Err(left) if start.elapsed() > limit => return Err(left),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn all_ended(stack: &Stack) -> Result<(), String> {
    let left = "select 'jobs', state, count(*) from jobs where state not in ('done', 'failed', 'cancelled') group by 2
        union all select 'deliveries', state, count(*) from deliveries where state not in ('sent', 'failed') group by 2
        union all select 'outbox', '', count(*) from outbox having count(*) > 0";
    let rows = stack.postgres.sql(left).await.map_err(|error| format!("{error:#}"))?;
    if rows.is_empty() { Ok(()) } else { Err(format!("{rows:?}")) }
}

/// What is in each queue, but for the copies of dead letters, which are for other tools.
async fn messages(stack: &Stack) -> anyhow::Result<Vec<(String, u64)>> {
    let listed = stack.rabbitmq.server().ctl(&["list_queues", "name", "messages"]).await?;
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    let counts = lines.filter_map(|(name, messages)| Some((name.to_owned(), messages.trim().parse().ok()?)));
    let known = |name: &str| Queue::ALL.iter().any(|queue| queue.name() == name);
    Ok(counts.filter(|(name, _)| known(name) && !name.starts_with("waitless.dead.")).collect())
}

async fn stop_all(plan: &Plan, stack: &mut Stack, tally: &Tally) -> Vec<String> {
    let mut endings = Vec::new();
    for (binary, processes) in
        [("api", &mut stack.gateways), ("report-worker", &mut stack.workers), ("notifier", &mut stack.notifiers)]
    {
        for mut process in std::mem::take(processes) {
            if let Err(why) = stop(&mut process, tally).await {
                endings.push(format!("{binary}: {why}"));
            }
            keep_log(plan, binary, &process);
            drop::<Process>(process);
        }
    }
    endings
}

/// Says which connections are open that no process of ours has any more. The harness has its own, by the same name, in one pool.
async fn connections(setting: &Setting) -> Result<(), String> {
    let mut open = Vec::new();
    let (stack, text) = (&setting.stack, |error: anyhow::Error| format!("{error:#}"));
    let mine = own_ports().map_err(text)?;
    let sessions = "select client_port, application_name, state from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid()";
    let sessions = stack.postgres.sql(sessions).await.map_err(text)?;
    let foreign = |port: &Option<String>| port.as_ref().is_none_or(|port| !mine.contains(port));
    open.extend(sessions.into_iter().filter(|row| foreign(&row[0])).map(|row| format!("PostgreSQL: {row:?}")));
    let broker = stack.rabbitmq.server().ctl(&["list_connections", "peer_port", "state"]).await.map_err(text)?;
    open.extend(broker.lines().skip(1).map(|line| format!("RabbitMQ: {line}")));
    let mails = setting.smtp_proxy.open_connections();
    if mails > 0 {
        open.push(format!("mail server: {mails}"));
    }
    if open.is_empty() { Ok(()) } else { Err(open.join("; ")) }
}

/// The local ports of this process's own TCP connections.
fn own_ports() -> anyhow::Result<std::collections::BTreeSet<String>> {
    let mut sockets = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if let Some(inode) = target.to_string_lossy().strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            sockets.insert(inode.to_owned());
        }
    }
    let table = std::fs::read_to_string("/proc/self/net/tcp")?;
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let mine = fields.get(9).is_some_and(|inode| sockets.contains(*inode));
        let port = fields.get(1)?.rsplit_once(':')?.1;
        mine.then(|| u16::from_str_radix(port, 16).ok()).flatten().map(|port| port.to_string())
    };
    Ok(table.lines().skip(1).filter_map(port).collect())
}
