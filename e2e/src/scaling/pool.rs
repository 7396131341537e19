//! Worker processes that come and go.

use std::time::{Duration, Instant};

use testing::process::Process;
use tokio::task::JoinSet;

use crate::stack::Stack;

/// A worker that was told to stop has ended by then: its grace and the ten seconds after it.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const QUEUE: &str = "/api/queues/{vhost}/waitless.work.interactive.v1?columns=messages";
/// As the autoscaling's PostgreSQL trigger asks.
const UNFINISHED: &str =
    "select count(*) from jobs where lane = 'interactive' and state in ('pending', 'processing') and leader_id is null";

/// The workers of a run.
pub(super) struct Pool {
    name: &'static str,
    running: Vec<(Process, Instant)>,
    ending: JoinSet<(Duration, Option<String>)>,
    peak: usize,
    said: Duration,
}

impl Pool {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, running: Vec::new(), ending: JoinSet::new(), peak: 0, said: Duration::ZERO }
    }

    /// Workers that were not told to stop.
    pub(super) fn size(&self) -> usize {
        self.running.len()
    }

    pub(super) async fn add(&mut self, stack: &Stack) -> anyhow::Result<()> {
        self.running.push((stack.process("report-worker").start().await?, Instant::now()));
        self.peak = self.peak.max(self.running.len());
        Ok(())
    }

    /// Starts workers, or tells some to stop: the youngest first, as a ReplicaSet does where nothing says that another is cheaper.
    pub(super) async fn scale_to(&mut self, wanted: usize, stack: &Stack) -> anyhow::Result<()> {
        while self.running.len() < wanted {
            self.add(stack).await?;
        }
        while self.running.len() > wanted {
            let Some((process, since)) = self.running.pop() else { break };
            self.ending.spawn(end(process, since));
        }
        Ok(())
    }

    /// Says every five seconds how it goes.
    pub(super) fn say(&mut self, now: Duration, metrics: Option<&[f64]>) {
        if now - self.said < Duration::from_secs(5) {
            return;
        }
        self.said = now;
        super::say(&format!(
            "{} {:>4} s: queue and jobs {metrics:?}; {} workers, {} were told to stop",
            self.name,
            now.as_secs(),
            self.running.len(),
            self.ending.len()
        ));
    }

    /// Waits for all that were told to stop: the time that all workers lived together, what was wrong with how they ended, and how many
    /// there were at once.
    pub(super) async fn finish(self) -> (Duration, Vec<String>, usize) {
        let ended = self.ending.join_all().await;
        let used = ended.iter().map(|(lived, _)| *lived).sum();
        (used, ended.into_iter().filter_map(|(_, wrong)| wrong).collect(), self.peak)
    }
}

async fn end(mut process: Process, since: Instant) -> (Duration, Option<String>) {
    let stopping = process.terminate();
    let wrong = match process.wait(ENDS_WITHIN).await {
        Ok(status) if status.code() == Some(0) => None,
        outcome => Some(format!("a worker told to stop ({stopping:?}) ended otherwise: {outcome:?}")),
    };
    (since.elapsed(), wrong)
}

/// What the triggers say: the messages of the queue, those without acknowledgement among them, and the jobs that wait or run.
pub(super) async fn metrics(stack: &Stack) -> Option<Vec<f64>> {
    let queue = stack.rabbitmq.server().manage("GET", QUEUE, None).await;
    let messages = queue.ok().and_then(|queue| queue.get("messages")?.as_f64()).unwrap_or_default();
    let rows = stack.postgres.sql(UNFINISHED).await.ok()?;
    let jobs: f64 = rows.first()?[0].as_deref()?.parse().ok()?;
    Some(vec![messages, jobs])
}
