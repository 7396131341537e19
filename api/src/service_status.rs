//! `/status`: a page for people that says whether submitting, running and mailing work, and since when. It holds no number, and nothing
//! of any tenant.
//!
//! This gateway looks every few seconds, whoever asks; the page shows what it saw last. Two gateways may have seen a change some seconds
//! apart.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, web};
use broker::Broker;
use chrono::{DateTime, Utc};
use model::delivery::{Channel, DeliveryState};
use model::job::Lane;
use store::{QueuePart, Scope, Store, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::ApiResult;
use crate::gateway::Gateway;

/// How often a gateway looks, and how long one look may take.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// A row takes milliseconds to be written.
const SLOW_WRITE: Duration = Duration::from_millis(500);
/// A job that nobody has begun by then waits longer than anybody likes.
const SLOW_START: Duration = Duration::from_secs(60);
/// A mail takes seconds.
const SLOW_MAIL: Duration = Duration::from_secs(60);
const NO_MAIL: Duration = Duration::from_secs(600);
/// Deliveries by which mailing is judged: the mails among the newest ones. What an endpoint of somebody else's does not take says nothing of
/// mail.
const DELIVERIES: u32 = 40;

/// What people notice of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServicePart {
    Submitting,
    Running,
    Mailing,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceHealth {
    Up,
    Slow,
    Down,
}

/// How a part is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartStatus {
    pub(crate) part: ServicePart,
    pub(crate) health: ServiceHealth,
    pub(crate) since: DateTime<Utc>,
}

/// What this gateway saw last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusReport {
    pub(crate) parts: [PartStatus; 3],
    pub(crate) seen_at: DateTime<Utc>,
}

/// Keeps what this gateway saw last.
#[derive(Debug, Default)]
pub struct StatusBoard(tokio::sync::Mutex<Option<StatusReport>>);

impl StatusBoard {
    /// Looks at intervals until stopped.
    pub async fn run_until_stopped(gateway: web::Data<Gateway>, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            gateway.status_board.look(&gateway).await;
        }
    }

    async fn look(&self, gateway: &Gateway) -> StatusReport {
        let mut last = self.0.lock().await;
        let report = StatusReport::after(*last, examine(gateway).await, Utc::now());
        *last = Some(report);
        report
    }

    /// Returns what was seen last; in the first moment of a gateway it looks.
    async fn read(&self, gateway: &Gateway) -> StatusReport {
        let last = *self.0.lock().await;
        match last {
            Some(report) => report,
            None => self.look(gateway).await,
        }
    }
}

impl StatusReport {
    /// What is as it was has been so since then.
    fn after(last: Option<Self>, health: [(ServicePart, ServiceHealth); 3], now: DateTime<Utc>) -> Self {
        let before = |part, health| {
            let parts = last.into_iter().flat_map(|last| last.parts);
            parts.into_iter().find(|one| (one.part, one.health) == (part, health)).map(|one| one.since)
        };
        let parts =
            health.map(|(part, health)| PartStatus { part, health, since: before(part, health).unwrap_or(now) });
        Self { parts, seen_at: now }
    }
}

/// Shows the page; where `http.status_page` is off, to those who may read.
///
/// # Errors
/// `unauthorized`, `forbidden`, for programs; people get a page that says so.
pub async fn page(gateway: web::Data<Gateway>, request: HttpRequest) -> ApiResult {
    let pages = gateway.link_pages.for_reader(&request, None);
    if !gateway.http.status_page
        && let Err(error) = gateway.authenticator.authenticate(&request, &gateway.sessions, Scope::Read).await
    {
        return if crate::links::wants_page(&request) { pages.refuse(&error) } else { Err(error) };
    }
    let report = gateway.status_board.read(&gateway).await;
    pages.service_status(&report)
}

async fn examine(gateway: &Gateway) -> [(ServicePart, ServiceHealth); 3] {
    let (store, broker) = (gateway.store.as_ref(), gateway.broker.as_ref());
    let (submitting, running, mailing) =
        tokio::join!(submitting(store), within(running(store, broker)), within(mailing(store)));
    [
        (ServicePart::Submitting, submitting),
        // Without the database nothing is begun or sent, whatever else is well.
        (ServicePart::Running, if submitting == ServiceHealth::Down { ServiceHealth::Down } else { running }),
        (ServicePart::Mailing, if submitting == ServiceHealth::Down { ServiceHealth::Down } else { mailing }),
    ]
}

async fn within(look: impl Future<Output = Result<ServiceHealth, StoreError>>) -> ServiceHealth {
    match timeout(LOOK_WITHIN, look).await {
        Ok(Ok(health)) => health,
        Ok(Err(_)) => ServiceHealth::Down,
        Err(_) => ServiceHealth::Slow,
    }
}

/// Submits need a row that can be written, and nothing else.
async fn submitting(store: &dyn Store) -> ServiceHealth {
    let began = Instant::now();
    match timeout(LOOK_WITHIN, store.check_writable()).await {
        Ok(Ok(())) if began.elapsed() < SLOW_WRITE => ServiceHealth::Up,
        Ok(Ok(())) => ServiceHealth::Slow,
        Ok(Err(_)) | Err(_) => ServiceHealth::Down,
    }
}

/// Nothing starts without the broker, nor in a lane in which jobs wait and nobody works.
async fn running(store: &dyn Store, broker: &dyn Broker) -> Result<ServiceHealth, StoreError> {
    if broker.check().await.is_err() {
        return Ok(ServiceHealth::Down);
    }
    let status = store.queue_status(1).await?;
    let until = Some(status.now - SLOW_START);
    let mut worst = ServiceHealth::Up;
    for lane in Lane::ALL {
        let waiting = store.count_waiting(lane, QueuePart { after: None, until }, 1).await?;
        if waiting.count == 0 {
            continue;
        }
        if status.slots.iter().all(|(of, slots)| *of != lane || *slots == 0) {
            return Ok(ServiceHealth::Down);
        }
        worst = ServiceHealth::Slow;
    }
    Ok(worst)
}

async fn mailing(store: &dyn Store) -> Result<ServiceHealth, StoreError> {
    let newest = store.newest_deliveries(DELIVERIES).await?;
    let mails = newest.into_iter().filter(|(channel, ..)| *channel == Channel::Email);
    Ok(judge_mails(&mails.map(|(_, state, age)| (state, age)).collect::<Vec<_>>()))
}

/// Judges by the newest mails that have had time enough: one recipient whose server is away is no fault of ours, most of them are. What
/// was refused for good says nothing of us.
fn judge_mails(newest: &[(DeliveryState, Duration)]) -> ServiceHealth {
    let had_time = newest.iter().filter(|(_, age)| *age > SLOW_MAIL);
    let (mut sent, mut unsent, mut oldest) = (0, 0, Duration::ZERO);
    for (state, age) in had_time {
        match state {
            DeliveryState::Sent => sent += 1,
            DeliveryState::Pending | DeliveryState::Sending => {
                unsent += 1;
                oldest = oldest.max(*age);
            }
            DeliveryState::Failed => {}
        }
    }
    match (sent, unsent) {
        (sent, unsent) if sent >= unsent => ServiceHealth::Up,
        (0, _) if oldest > NO_MAIL => ServiceHealth::Down,
        _ => ServiceHealth::Slow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_secs(5);
    const LATE: Duration = Duration::from_secs(120);
    const LOST: Duration = Duration::from_secs(1_200);

    #[test]
    fn mailing_is_judged_by_most_of_the_newest_mails_that_had_time() {
        use DeliveryState::{Failed, Pending, Sending, Sent};
        for (newest, health) in [
            (&[][..], ServiceHealth::Up),
            (&[(Pending, FRESH), (Sending, FRESH)], ServiceHealth::Up),
            (&[(Pending, FRESH), (Pending, LATE), (Sent, LATE)], ServiceHealth::Up),
            (&[(Failed, LATE), (Sent, LOST)], ServiceHealth::Up),
            (&[(Pending, LATE)], ServiceHealth::Slow),
            (&[(Pending, LATE), (Sending, LOST), (Sent, LOST)], ServiceHealth::Slow),
            (&[(Pending, FRESH), (Pending, LATE), (Pending, LOST)], ServiceHealth::Down),
        ] {
            assert_eq!(judge_mails(newest), health, "{newest:?}");
        }
    }

    #[test]
    fn a_part_has_been_as_it_is_since_it_changed() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let seen = |running| {
            [
                (ServicePart::Submitting, ServiceHealth::Up),
                (ServicePart::Running, running),
                (ServicePart::Mailing, ServiceHealth::Up),
            ]
        };
        let since = |report: StatusReport| report.parts.map(|part| part.since.timestamp());
        let first = StatusReport::after(None, seen(ServiceHealth::Up), at(10));
        let same = StatusReport::after(Some(first), seen(ServiceHealth::Up), at(20));
        assert_eq!((since(same), same.seen_at), ([10, 10, 10], at(20)));
        let down = StatusReport::after(Some(same), seen(ServiceHealth::Down), at(30));
        assert_eq!(since(down), [10, 30, 10]);
        let again = StatusReport::after(Some(down), seen(ServiceHealth::Up), at(40));
        assert_eq!(since(again), [10, 40, 10]);
    }
}
