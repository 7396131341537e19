//! A job is followed to its end: by its events, and by asking where those do not come through.

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

use eventsource_stream::{Event, EventStreamError};
use futures_util::StreamExt as _;
use model::job::JobState;
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use super::event_stream::events;
use super::responses::{EventEnvelope, ProgressResponse};
use super::{ClientError, GatewayClient, JobResponse};

const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Told what happens to a job.
pub(crate) trait JobObserver {
    /// The job is in this state now.
    fn state(&mut self, state: JobState, error: Option<&str>);
    /// The running attempt is this far.
    fn progress(&mut self, progress: ProgressResponse);
    /// Nobody answers. The job goes on all the same.
    fn lost(&mut self, why: &ClientError);
}

/// Follows one job.
pub(crate) struct JobFollower<'a> {
    gateway: &'a GatewayClient,
    job_id: Uuid,
    last_event: Option<String>,
    /// How long nobody may answer before the follower gives up.
    outage_limit: Duration,
    /// When somebody last answered.
    last_heard: Instant,
}

impl<'a> JobFollower<'a> {
    pub(crate) fn new(gateway: &'a GatewayClient, job_id: Uuid, outage_limit: Duration) -> Self {
        Self { gateway, job_id, last_event: None, outage_limit, last_heard: Instant::now() }
    }

    /// Returns the job once its state is final.
    pub(crate) async fn follow(mut self, observer: &mut impl JobObserver) -> Result<JobResponse, ClientError> {
        loop {
            let listened = self.listen(observer).await;
            let read = match listened {
                Ok(()) => self.gateway.get::<JobResponse>(&format!("v1/jobs/{}", self.job_id)).await,
                Err(error) if error.is_transient() => self.gateway.get(&format!("v1/jobs/{}", self.job_id)).await,
                Err(error) => Err(error),
            };
            match read {
                Ok(job) => {
                    self.last_heard = Instant::now();
                    observer.state(job.state, job.error.as_ref().map(|error| error.detail.as_str()));
                    if job.state.is_final() {
                        return Ok(job);
                    }
                    observer.progress(job.progress);
                }
                Err(error) if error.is_transient() && self.last_heard.elapsed() < self.outage_limit => {
                    observer.lost(&error);
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Listens to the job's events until they end.
    async fn listen(&mut self, observer: &mut impl JobObserver) -> Result<(), ClientError> {
        let mut call = self.gateway.call(Method::GET, &format!("v1/jobs/{}/events", self.job_id));
        if let Some(last) = &self.last_event {
            call = call.header("Last-Event-ID", last);
        }
        let response = self.gateway.send(call).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let last_heard = Cell::new(Instant::now());
        let mut events = pin!(events(response, &last_heard));
        while let Some(event) = events.next().await {
            self.last_heard = last_heard.get();
            match event {
                Ok(event) => {
                    if self.take(event, observer) {
                        return Ok(());
                    }
                }
                Err(EventStreamError::Transport(error)) => return Err(self.gateway.unreachable(&error)),
                // Whatever it is, it is no event stream; the job is asked for instead.
                Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)) => return Ok(()),
            }
        }
        self.last_heard = last_heard.get();
        Ok(())
    }

    /// Tells of an event and returns whether it was the last one.
    fn take(&mut self, event: Event, observer: &mut impl JobObserver) -> bool {
        let Ok(envelope) = serde_json::from_str::<EventEnvelope>(&event.data) else { return false };
        if !event.id.is_empty() {
            self.last_event = Some(event.id);
        }
        if let Some(progress) = envelope.data.progress {
            observer.progress(progress);
        }
        let Some(state) = envelope.data.state else { return false };
        observer.state(state, envelope.data.error.as_ref().map(|error| error.detail.as_str()));
        state.is_final()
    }
}
