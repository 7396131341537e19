//! What goes to other processes and comes from them without any promise: progress, and word of cancels.

use std::collections::HashMap;
use std::sync::Arc;

use model::event::{Broadcast, EventKind};
use model::job::JobState;
use model::progress::Progress;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::attempt::{Attempt, StopReason};
use crate::worker::Worker;

/// Broadcasts progress that changed, of every job that runs for longer than one interval.
pub(crate) async fn broadcast_progress(worker: Arc<Worker>) {
    let every = worker.settings.progress_every;
    let mut clock = tokio::time::interval(every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last_sent: HashMap<(Uuid, i32), Progress> = HashMap::new();
    loop {
        clock.tick().await;
        let attempts = worker.attempts.all();
        last_sent
            .retain(|(job, number), _| attempts.iter().any(|known| known.job_id == *job && known.attempt == *number));
        for attempt in attempts.into_iter().filter(|attempt| attempt.since.elapsed() >= every) {
            let progress = attempt.progress();
            if last_sent.insert((attempt.job_id, attempt.attempt), progress) == Some(progress) {
                continue;
            }
            worker.backends.broker.broadcast(Broadcast::Progress {
                job_id: attempt.job_id,
                caller: attempt.caller.clone(),
                attempt: attempt.attempt,
                progress,
            });
        }
    }
}

/// Stops attempts whose job was cancelled. A message that is missed costs a second: the next heartbeat says the same.
pub(crate) async fn listen_for_cancels(worker: Arc<Worker>) {
    let mut messages = worker.backends.broker.subscribe_cancels();
    loop {
        match messages.recv().await {
            Ok(message) => {
                if let Broadcast::Event(event) = message.as_ref()
                    && event.kind == EventKind::Cancelled
                {
                    match worker.attempts.find(event.job_id).filter(|attempt| attempt.may_be_joined) {
                        Some(attempt) => drop(tokio::spawn(stop_unless_wanted(Arc::clone(&worker), attempt))),
                        None => worker.attempts.stop(event.job_id, event.attempt, StopReason::Cancelled),
                    }
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Stops an attempt whose job was cancelled, unless others wait for its run. Where the store does not say, the next heartbeat will.
async fn stop_unless_wanted(worker: Arc<Worker>, attempt: Arc<Attempt>) {
    match worker.backends.store.job_by_id(attempt.job_id).await {
        Ok(Some(job)) if (job.state, job.attempt) == (JobState::Processing, attempt.attempt) => {
            tracing::info!(job = %job.id, attempt = job.attempt, "a job was cancelled; others wait for its run");
        }
        Ok(_) => attempt.stop(StopReason::Cancelled),
        Err(error) => tracing::warn!(job = %attempt.job_id, %error, "nobody can say yet whether a run is still wanted"),
    }
}
