//! The worker as a whole: built, run, stopped.

use std::sync::Arc;
use std::time::Duration;

use configuration::Config;
use runtime::{Backends, declare_configured_limits};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::StopReason;
use crate::broadcast::{broadcast_progress, listen_for_cancels};
use crate::consume::consume_lane;
use crate::heartbeat;
use crate::idle::until_idle;
use crate::pod_cost::keep_pod_cost_current;
use crate::worker::Worker;

/// Part of the grace that is kept for handing jobs back.
const HAND_BACK_WITHIN: Duration = Duration::from_secs(5);
/// Attempts that are told to stop are told again at this pace: one may have been claimed a moment later.
const STOP_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The report worker.
#[derive(Debug)]
pub struct Application {
    worker: Arc<Worker>,
    grace: Duration,
}

impl Application {
    /// Prepares the worker. Connects to no source yet.
    ///
    /// # Errors
    /// Names a source whose URL cannot be read, or says that links could be guessed.
    #[expect(clippy::unused_async, reason = "every service is built the same way")]
    pub async fn build(config: &Config, backends: Backends) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !config.service.link_secret.is_empty(),
            "service.link_secret is empty: the links to files could be guessed"
        );
        #[cfg(feature = "failpoints")]
        crate::failpoint::set_up();
        crate::attempt_metrics::declare_metrics(&config.worker.lanes);
        Ok(Self { worker: Arc::new(Worker::new(config, backends)?), grace: config.service.shutdown_grace })
    }

    /// Takes and runs jobs until told to stop, or until there was nothing to do for `worker.end_when_idle`; then lets running ones
    /// finish, hands back those that take longer than the grace, and returns.
    ///
    /// # Errors
    /// When the heartbeat's thread cannot be started.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { worker, grace } = self;
        let stop_heartbeat = CancellationToken::new();
        let heartbeat_stopped = heartbeat::start(Arc::clone(&worker), stop_heartbeat.clone())?;
        let side_tasks = [
            tokio::spawn(broadcast_progress(Arc::clone(&worker))),
            tokio::spawn(listen_for_cancels(Arc::clone(&worker))),
            tokio::spawn(keep_pod_cost_current(Arc::clone(&worker))),
            tokio::spawn(declare_configured_limits(
                Arc::clone(&worker.backends.store),
                worker.limits.clone(),
                worker.stopping.clone(),
            )),
        ];
        let tasks = TaskTracker::new();
        for lane in &worker.settings.lanes {
            tasks.spawn(consume_lane(Arc::clone(&worker), *lane, tasks.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = until_idle(&worker) => {}
        }
        worker.stopping.cancel();
        tasks.close();
        finish_or_hand_back(&worker, &tasks, grace).await;
        for task in &side_tasks {
            task.abort();
        }
        stop_heartbeat.cancel();
        let _ended = tokio::time::timeout(Duration::from_secs(3), heartbeat_stopped).await;
        Ok(())
    }
}

/// Waits for running jobs, then hands them back, then gives up.
async fn finish_or_hand_back(worker: &Worker, tasks: &TaskTracker, grace: Duration) {
    let margin = HAND_BACK_WITHIN.min(grace / 2);
    if tokio::time::timeout(grace.saturating_sub(margin), tasks.wait()).await.is_ok() {
        return;
    }
    tracing::info!("running jobs are handed back");
    let handing_back = async {
        loop {
            worker.attempts.stop_all(StopReason::Shutdown);
            tokio::time::sleep(STOP_AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = tasks.wait() => return,
        () = handing_back => {}
        () = tokio::time::sleep(margin * 4 / 5) => {}
    }
    tracing::warn!("some jobs could not be handed back in time; others will take them");
    worker.give_up.cancel();
    let _ended = tokio::time::timeout(margin / 5, tasks.wait()).await;
}
