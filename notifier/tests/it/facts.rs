//! Facts to compose mails from, made by hand and always the same.

use chrono::{DateTime, Utc};
use configuration::Config;
use model::artifact::{Artifact, Format, object_key};
use model::delivery::{Channel, Delivery, DeliveryEvent, DeliveryState, Lateness, Notify};
use model::forecast::{Eta, Forecast};
use model::job::{Caller, Job, JobState, Lane};
use model::problem::Problem;
use model::progress::Progress;
use notifier::compose::facts::{Facts, NotificationKind};
use report::parse_definition;
use serde_json::json;
use uuid::Uuid;

pub(crate) const REPORT: &str = r#"
title = "Revenue by nation and year"
description = "What each nation sold, year by year, after discounts."
source = "demo"
formats = ["csv", "jsonl"]
sql = "select 1 where :since is not null and :segments is not null and :account is not null"
[params.since]
type = "date"
label = "Ordered on or after"
[params.segments]
type = "choice"
list = true
choices = ["BUILDING", "MACHINERY", "HOUSEHOLD"]
label = "Market segments"
[params.account]
type = "text"
label = "Account"
sensitive = true
"#;

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_5000_0000_7000_8000_0000_0000_0000 | number)
}

pub(crate) fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

pub(crate) fn config() -> Config {
    let mut config = Config::embedded("unused".as_ref()).unwrap();
    config.service.link_secret = "a secret of the tests, long enough".into();
    config.service.public_url = Some("https://reports.example.com".to_owned());
    config.mail.from = "Waitless Reports <reports@example.com>".to_owned();
    config
}

pub(crate) fn delivery(event: DeliveryEvent) -> Delivery {
    Delivery {
        id: id(0xd1),
        job_id: id(1),
        tenant: "acme".to_owned(),
        event,
        seq: 3,
        channel: Channel::Email,
        recipient: "ana@example.com".to_owned(),
        state: DeliveryState::Sending,
        attempt: 1,
        next_attempt_at: None,
        error: None,
        created_at: at("2026-11-22T16:10:07Z"),
        sent_at: None,
        late: None,
    }
}

pub(crate) fn artifact(number: u128, format: Format, bytes: u64, rows: u64) -> Artifact {
    Artifact {
        id: id(number),
        job_id: id(1),
        attempt: 1,
        format,
        object_key: object_key(id(1), 1, id(number), format),
        filename: format!("revenue-by-nation-2026-11-22.{format}"),
        bytes,
        rows,
        sha256: "0".repeat(64),
        complete: true,
        snapshot_at: at("2026-11-22T16:08:02Z"),
        created_at: at("2026-11-22T16:10:07Z"),
        expires_at: at("2026-12-22T16:10:07Z"),
        link_id: id(0x11_0000 | number),
        link_hash: None,
    }
}

fn job() -> Job {
    let params = json!({"since": "1997-01-01", "segments": ["BUILDING", "MACHINERY"], "account": "canary-4711"});
    Job {
        id: id(1),
        caller: Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() },
        report: "revenue-by-nation".to_owned(),
        report_version: "sha256:abc".to_owned(),
        lane: Lane::Interactive,
        params: params.as_object().cloned().unwrap(),
        attributes: model::attributes::SealedAttributes::default(),
        formats: vec![Format::Csv],
        on_refusal: model::refusal::OnRefusal::Fail,
        notify: Vec::new(),
        state: JobState::Done,
        attempt: 1,
        errors: 0,
        crashes: 0,
        interruptions: 0,
        max_attempts: 5,
        timeout_ms: 60_000,
        retention_ms: 86_400_000,
        worker_id: None,
        progress: Progress::default(),
        seq: 3,
        created_at: at("2026-11-22T16:08:00Z"),
        started_at: Some(at("2026-11-22T16:08:02Z")),
        finished_at: Some(at("2026-11-22T16:10:07Z")),
        next_attempt_at: None,
        error: None,
        traceparent: None,
        forecast: None,
        artifacts: Vec::new(),
        refused: Vec::new(),
        set_aside: None,
        sharing: model::reuse::Sharing::default(),
    }
}

pub(crate) fn ready(artifacts: Vec<Artifact>) -> Facts {
    Facts {
        job: Job { artifacts, ..job() },
        report: Some(parse_definition("revenue-by-nation", REPORT).unwrap()),
        kind: NotificationKind::Ready,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

/// The same facts for a reader who wishes for this language and time zone.
pub(crate) fn read_by(mut facts: Facts, language: &str, time_zone: &str) -> Facts {
    let mut wish = Notify::by_email("ana@example.com");
    (wish.language, wish.time_zone) = (Some(language.to_owned()), Some(time_zone.to_owned()));
    facts.job.notify = vec![Notify::by_email("bob@example.com"), wish];
    facts
}

/// A job that was to be ready two to four minutes after its submit and is still at it after seven.
pub(crate) fn late(state: JobState, progress: Progress, eta: Option<Eta>) -> Facts {
    let mut facts = ready(Vec::new());
    facts.job.forecast = Some(Forecast { position: 1, eta: Some(TOLD), ..Forecast::default() });
    (facts.job.state, facts.job.finished_at) = (state, None);
    facts.kind = NotificationKind::Late(Lateness { state, progress, eta }, at("2026-11-22T16:15:00Z"));
    facts
}

/// Two to four minutes.
pub(crate) const TOLD: Eta = Eta { p10: 118_000, p50: 180_000, p90: 239_000, runs: 12 };

pub(crate) fn failed(problem: Problem) -> Facts {
    let mut facts = ready(Vec::new());
    facts.job.state = JobState::Failed;
    facts.job.errors = 5;
    facts.job.error = Some(problem.clone());
    facts.kind = NotificationKind::Failed(problem);
    facts
}
