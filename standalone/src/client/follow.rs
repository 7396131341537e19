//! A job is followed to its end: by its events, and by asking where those do not come through.

use std::time::{Duration, Instant};

use model::job::JobState;
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use super::answers::{EventEnvelope, ProgressAnswer};
use super::frames::{Frame, Frames};
use super::{CallError, Gateway, JobAnswer};

/// A gateway pings more often than this; a stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(500);

/// Told what happens to a job.
pub(crate) trait Watcher {
    /// The job is in this state now.
    fn state(&mut self, state: JobState, error: Option<&str>);
    /// The running attempt is this far.
    fn progress(&mut self, progress: ProgressAnswer);
    /// Nobody answers. The job goes on all the same.
    fn lost(&mut self, why: &CallError);
}

/// Follows one job.
pub(crate) struct Follower<'a> {
    gateway: &'a Gateway,
    job_id: Uuid,
    last_event: Option<String>,
    /// How long nobody may answer before the follower gives up.
    patience: Duration,
    /// When somebody last answered.
    heard: Instant,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(gateway: &'a Gateway, job_id: Uuid, patience: Duration) -> Self {
        Self { gateway, job_id, last_event: None, patience, heard: Instant::now() }
    }

    /// Returns the job once its state is final.
    pub(crate) async fn follow(mut self, watcher: &mut impl Watcher) -> Result<JobAnswer, CallError> {
        loop {
            let listened = self.listen(watcher).await;
            let read = match listened {
                Ok(()) => self.gateway.get::<JobAnswer>(&format!("v1/jobs/{}", self.job_id)).await,
                Err(error) if error.may_pass() => self.gateway.get(&format!("v1/jobs/{}", self.job_id)).await,
                Err(error) => Err(error),
            };
            match read {
                Ok(job) => {
                    self.heard = Instant::now();
                    watcher.state(job.state, job.error.as_ref().map(|error| error.detail.as_str()));
                    if job.state.is_final() {
                        return Ok(job);
                    }
                    watcher.progress(job.progress);
                }
                Err(error) if error.may_pass() && self.heard.elapsed() < self.patience => watcher.lost(&error),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Listens to the job's events until they end.
    async fn listen(&mut self, watcher: &mut impl Watcher) -> Result<(), CallError> {
        let mut call = self.gateway.call(Method::GET, &format!("v1/jobs/{}/events", self.job_id));
        if let Some(last) = &self.last_event {
            call = call.header("Last-Event-ID", last);
        }
        let mut answer = self.gateway.send(call).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let mut frames = Frames::default();
        loop {
            let chunk = match tokio::time::timeout(SILENCE, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(self.gateway.unreachable(&error)),
            };
            self.heard = Instant::now();
            for frame in frames.add(&chunk).unwrap_or_default() {
                if self.take(frame, watcher) {
                    return Ok(());
                }
            }
        }
    }

    /// Tells of a frame and returns whether it was the last one.
    fn take(&mut self, frame: Frame, watcher: &mut impl Watcher) -> bool {
        let Ok(envelope) = serde_json::from_str::<EventEnvelope>(&frame.data) else { return false };
        if frame.id.is_some() {
            self.last_event = frame.id;
        }
        if let Some(progress) = envelope.data.progress {
            watcher.progress(progress);
        }
        let Some(state) = envelope.data.state else { return false };
        watcher.state(state, envelope.data.error.as_ref().map(|error| error.detail.as_str()));
        state.is_final()
    }
}
