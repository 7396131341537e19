//! A day's load, and workers that are started and stopped as KEDA would: no job may be lost and no attempt burnt by it.

mod autoscaler;
mod day;
mod outcome;
mod pool;

use std::time::{Duration, Instant};

use crate::history::{self, Evidence};
use crate::rabbitmq::ServerChoice;
use crate::stack::{Stack, caller, wait_until_all_ended};
use day::Day;
use pool::Pool;

pub use autoscaler::{Autoscaler, Rules};
pub use day::{planned, share_of_hour};
pub use outcome::{PoolOutcome, Report};

/// Jobs that one worker runs at once, and so what the autoscaler aims at for each.
pub const CONCURRENCY: u32 = 4;
/// What a worker that is told to stop has left.
pub const GRACE: Duration = Duration::from_secs(12);
/// A real day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// What is to be tried.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Into how long the day is squeezed.
    pub duration: Duration,
    /// Decides when jobs come and how long each takes; the same for both pools.
    pub seed: u64,
    /// Jobs a second at the busiest moment.
    pub peak: f64,
}

/// Runs the day twice: with workers as the queue asks for, and with as many all the time as cost the same.
///
/// # Errors
/// When a server or process cannot be started.
pub async fn run(plan: Plan) -> anyhow::Result<Report> {
    let day = Day::plan(plan);
    say(&format!("{} jobs in {:?}, seed {}", day.jobs(), plan.duration, plan.seed));
    let scaled = try_pool("autoscaled", plan, &day, None).await?;
    let fixed = scaled.average_workers().ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of workers")]
    let fixed = try_pool("fixed", plan, &day, Some(fixed as usize)).await?;
    Ok(Report {
        seed: plan.seed,
        minutes: plan.duration.as_secs_f64() / 60.0,
        peak: plan.peak,
        jobs: day.jobs(),
        pools: vec![scaled, fixed],
    })
}

async fn try_pool(name: &'static str, plan: Plan, day: &Day, fixed: Option<usize>) -> anyhow::Result<PoolOutcome> {
    let statistics = vec!["collect_statistics_interval = 1000".to_owned()];
    let rabbitmq = testing::rabbitmq::Options { management: true, configuration: statistics };
    let settings = vec![
        ("WAITLESS_WORKER__CONCURRENCY", CONCURRENCY.to_string()),
        ("WAITLESS_WORKER__LANES", "interactive".to_owned()),
        ("WAITLESS_SERVICE__SHUTDOWN_GRACE", format!("{}s", GRACE.as_secs())),
    ];
    let mut stack = Stack::prepare(ServerChoice::OwnServer(rabbitmq), settings).await;
    stack.add_gateway().await;
    let mut pool = Pool::new(name);
    for _ in 0..fixed.unwrap_or_default() {
        pool.add(&stack).await?;
    }
    let (start, client) = (Instant::now(), stack.client.patient(Duration::from_secs(120)));
    let submitting = tokio::spawn(day.clone().submit_all(client, start));
    let mut autoscaler = Autoscaler::new(Rules::interactive().squeezed(DAY.div_duration_f64(plan.duration)));
    let mut polls = tokio::time::interval(autoscaler.rules.polling);
    polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while start.elapsed() < plan.duration || !submitting.is_finished() {
        polls.tick().await;
        let metrics = pool::metrics(&stack).await;
        if fixed.is_none()
            && let Some(metrics) = &metrics
        {
            let wanted = autoscaler.decide(start.elapsed(), metrics, pool.size());
            pool.scale_to(wanted, &stack).await?;
        }
        pool.say(start.elapsed(), metrics.as_deref());
    }
    submitting.await?;
    // What waits is worked off by those that are there; the autoscaler would not take the last one while there is work.
    if pool.size() == 0 {
        pool.add(&stack).await?;
    }
    wait_until_all_ended(stack.store.as_ref(), &stack.client).await;
    let ran = start.elapsed();
    pool.scale_to(0, &stack).await?;
    let (used, endings, peak) = pool.finish().await;
    let evidence = Evidence {
        store: std::sync::Arc::clone(&stack.store),
        mails: stack.smtp.mails(),
        artifacts: stack.artifacts(),
        config: stack.config.clone(),
        caller: caller(),
    };
    let mut history = history::gather(&stack.client.operations(), evidence).await;
    history.endings.extend(endings);
    history.uncovered.extend(stack.coverage.uncovered());
    Ok(PoolOutcome::new(name, &history, ran, used, peak))
}

/// Says something on standard error.
#[expect(clippy::print_stderr, reason = "progress goes to standard error")]
fn say(what: &str) {
    eprintln!("{what}");
}
