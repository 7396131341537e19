//! A client as one should be written: every submit has an `Idempotency-Key` and is sent again until it is answered. It notes
//! everything it does and hears.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use model::job::JobState;
use reqwest::redirect::Policy;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A submit that nobody accepts for so long is given up, and fails the test; see [`Client::patient`].
const PATIENCE: Duration = Duration::from_secs(50);
/// One request. A gateway that does not answer in this time does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a gateway answered to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Answer {
    /// 202 with this job.
    Accepted(Uuid),
    /// 503, with the seconds of `Retry-After` if it was there.
    Unavailable(Option<u64>),
    /// 408: the request did not arrive in time, as at a gateway that was frozen in the middle of it. Nothing was accepted.
    TimedOut,
    /// Anything else; it should not happen.
    Other(u16, String),
    /// No answer: nobody knows whether the job was accepted.
    Nothing,
}

/// A submit and everything that was answered to it, oldest first, each with the time it took.
#[derive(Debug, Clone, Serialize)]
pub struct Operation {
    /// Its `Idempotency-Key`.
    pub key: String,
    /// The report, what it was asked with, and as what.
    pub report: &'static str,
    pub params: Value,
    pub formats: &'static [&'static str],
    /// An address no other job has; `None`: nobody is to be told.
    pub recipient: Option<String>,
    /// How it is to end.
    pub expected: JobState,
    /// The limit of crashes may end it as well: its workers are killed at random.
    pub in_a_storm: bool,
    /// A cancel was asked for whose answer nobody heard, or that came too late.
    pub may_be_cancelled: bool,
    pub answers: Vec<(Answer, Duration)>,
}

impl Operation {
    /// The jobs this submit was promised; more than one is a fault.
    #[must_use]
    pub fn accepted(&self) -> BTreeSet<Uuid> {
        let jobs = self.answers.iter().filter_map(|(answer, _)| match answer {
            Answer::Accepted(id) => Some(*id),
            _ => None,
        });
        jobs.collect()
    }
}

/// A report somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    report: &'static str,
    params: Value,
    formats: &'static [&'static str],
    mail: bool,
    expected: JobState,
    in_a_storm: bool,
}

/// A few rows at once, in two formats.
pub fn quick() -> Wish {
    Wish {
        report: "quick",
        params: json!({}),
        formats: &["csv", "jsonl"],
        mail: false,
        expected: JobState::Done,
        in_a_storm: false,
    }
}

/// So many rows at once, in two formats.
#[must_use]
pub fn quick_rows(rows: u64) -> Wish {
    Wish { params: json!({"rows": rows}), ..quick() }
}

/// One row at once, in one format.
#[must_use]
pub fn one_row() -> Wish {
    Wish { formats: &["csv"], ..quick_rows(1) }
}

/// One row after this many milliseconds.
pub fn slow(ms: u64) -> Wish {
    Wish {
        report: "slow",
        params: json!({"ms": ms}),
        formats: &["csv"],
        mail: false,
        expected: JobState::Done,
        in_a_storm: false,
    }
}

/// The same in the other lane.
pub fn bulk(ms: u64) -> Wish {
    Wish { report: "bulk", ..slow(ms) }
}

/// A hundred thousand rows.
pub fn busy() -> Wish {
    Wish {
        report: "busy",
        params: json!({}),
        formats: &["csv"],
        mail: false,
        expected: JobState::Done,
        in_a_storm: false,
    }
}

/// So many rows, from the server or from a file.
pub fn many(report: &'static str, rows: u64) -> Wish {
    Wish { report, params: json!({"rows": rows}), ..quick() }
}

/// One row, asked for with something nobody else may read.
pub fn confidential(report: &'static str, secret: &str) -> Wish {
    Wish { report, params: json!({"secret": secret}), formats: &["csv"], ..quick() }
}

impl Wish {
    /// Asks for a mail to an address no other job has.
    pub fn with_mail(self) -> Self {
        Self { mail: true, ..self }
    }

    /// Says that three of its workers may be killed, which ends a job as well.
    pub fn in_a_storm(self) -> Self {
        Self { in_a_storm: true, ..self }
    }

    /// Says how the job ends.
    pub fn that_ends(self, expected: JobState) -> Self {
        Self { expected, ..self }
    }
}

/// Speaks to any of the gateways. Clones share what they noted.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    pub key: String,
    gateways: Arc<Mutex<Vec<String>>>,
    turn: Arc<AtomicUsize>,
    operations: Arc<Mutex<Vec<Operation>>>,
    patience: Duration,
}

impl Client {
    pub fn new(key: String) -> Self {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).redirect(Policy::none()).build().unwrap();
        Self {
            http,
            key,
            gateways: Arc::default(),
            turn: Arc::default(),
            operations: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// The same client, which gives up after this time only.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Says where the gateways are from now on.
    pub fn use_gateways(&self, gateways: Vec<String>) {
        *self.gateways.lock().unwrap() = gateways;
    }

    /// Everything that was done so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.operations.lock().unwrap().clone()
    }

    /// One submit, with everything that was answered to it.
    #[must_use]
    pub fn operation(&self, place: usize) -> Operation {
        self.operations.lock().unwrap()[place].clone()
    }

    /// The jobs of the last `submits` submits, as far as they were accepted.
    #[must_use]
    pub fn some_jobs(&self, submits: usize) -> Vec<Uuid> {
        let operations = self.operations.lock().unwrap();
        operations.iter().rev().take(submits).flat_map(Operation::accepted).collect()
    }

    /// Submits, again and again with the same key until it is accepted, and returns the job.
    pub async fn submit(&self, wish: &Wish) -> Uuid {
        self.submit_noted(self.note(wish), wish).await
    }

    /// Does the same for a submit that was noted.
    pub async fn submit_noted(&self, place: usize, wish: &Wish) -> Uuid {
        let start = Instant::now();
        loop {
            if let Answer::Accepted(id) = self.try_once(place, wish, None).await {
                return id;
            }
            let (patience, heard) = (self.patience, self.operation(place).answers);
            assert!(start.elapsed() < patience, "not accepted within {patience:?}: {heard:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Submits many, eight at a time.
    pub async fn submit_many(&self, count: usize, wish: &Wish) -> Vec<Uuid> {
        futures_util::stream::iter(0..count).map(|_| self.submit(wish)).buffer_unordered(8).collect().await
    }

    /// Notes a submit that is about to be made; [`Client::try_once`] makes it.
    pub fn note(&self, wish: &Wish) -> usize {
        let key = Uuid::new_v4().to_string();
        let recipient = wish.mail.then(|| format!("{key}@example.com"));
        let mut operations = self.operations.lock().unwrap();
        operations.push(Operation {
            key,
            report: wish.report,
            params: wish.params.clone(),
            formats: wish.formats,
            recipient,
            expected: wish.expected,
            in_a_storm: wish.in_a_storm,
            may_be_cancelled: false,
            answers: Vec::new(),
        });
        operations.len() - 1
    }

    /// Makes one request of a noted submit, to `gateway` or to the next one in turn.
    pub async fn try_once(&self, place: usize, wish: &Wish, gateway: Option<&str>) -> Answer {
        let (sent, operation) = (Instant::now(), self.operation(place));
        let notify: Vec<_> = operation.recipient.iter().map(|to| json!({"channel": "email", "to": to})).collect();
        let body = json!({"report": wish.report, "params": wish.params, "formats": wish.formats, "notify": notify});
        let gateway = gateway.map_or_else(|| self.next_gateway(), str::to_owned);
        let request = self.http.post(format!("{gateway}/v1/jobs")).bearer_auth(&self.key);
        let answer = match request.header("Idempotency-Key", &operation.key).json(&body).send().await {
            Ok(response) => read(response).await,
            Err(_) => Answer::Nothing,
        };
        self.operations.lock().unwrap()[place].answers.push((answer.clone(), sent.elapsed()));
        answer
    }

    /// Cancels a job. From here on it must end so.
    pub async fn cancel(&self, id: Uuid) {
        let url = format!("{}/v1/jobs/{id}/cancel", self.next_gateway());
        let answer = self.http.post(url).bearer_auth(&self.key).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let mut operations = self.operations.lock().unwrap();
        for operation in operations.iter_mut().filter(|operation| operation.accepted().contains(&id)) {
            operation.expected = JobState::Cancelled;
        }
    }

    /// Asks for the cancel of a noted submit's job once, whatever is answered: it may end so from here on.
    pub async fn try_to_cancel(&self, place: usize, id: Uuid) {
        self.operations.lock().unwrap()[place].may_be_cancelled = true;
        let url = format!("{}/v1/jobs/{id}/cancel", self.next_gateway());
        let answer = self.http.post(url).bearer_auth(&self.key).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            self.operations.lock().unwrap()[place].expected = JobState::Cancelled;
        }
    }

    /// Asks for a schedule once, and tells whether it was answered that there is one. It may be there all the same.
    pub async fn ask_for_a_schedule(&self, body: &Value) -> bool {
        let url = format!("{}/v1/schedules", self.next_gateway());
        let answer = self.http.post(url).bearer_auth(&self.key).json(body).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Gets `path` of a gateway, whatever it answers. Redirects are not followed.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.next_gateway())).bearer_auth(&self.key).send().await.unwrap()
    }

    /// Opens the feed of all the caller's events, for as long as the gateway lives.
    pub async fn feed(&self) -> reqwest::Response {
        let url = format!("{}/v1/events", self.next_gateway());
        let asked = reqwest::Client::new().get(url).bearer_auth(&self.key).header("Accept", "text/event-stream");
        asked.send().await.unwrap().error_for_status().unwrap()
    }

    /// Opens the event stream of a job behind `last_event_id`.
    pub async fn watch(&self, id: Uuid, last_event_id: Option<&str>) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/v1/jobs/{id}/events", self.next_gateway());
        let mut request = self.http.get(url).bearer_auth(&self.key).header("Accept", "text/event-stream");
        if let Some(last) = last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        Ok(request.send().await?.error_for_status()?)
    }

    fn next_gateway(&self) -> String {
        let gateways = self.gateways.lock().unwrap();
        gateways[self.turn.fetch_add(1, Ordering::Relaxed) % gateways.len()].clone()
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let Ok(body) = response.text().await else { return Answer::Nothing };
    let job = || serde_json::from_str::<Value>(&body).ok()?.get("id")?.as_str()?.parse().ok();
    match (status, job()) {
        (202, Some(id)) => Answer::Accepted(id),
        (503, _) => Answer::Unavailable(header),
        (408, _) => Answer::TimedOut,
        _ => Answer::Other(status, body),
    }
}
