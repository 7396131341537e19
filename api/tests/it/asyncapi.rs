//! `docs/asyncapi.json` is what is sent.

use std::path::Path;

use model::event::Broadcast;
use model::message::Message;
use model::problem::{Problem, ProblemKind};
use model::progress::{Phase, Progress};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, on_both_stacks};
use crate::sse::Stream;
use crate::ws::{Said, Socket};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/asyncapi.json");

on_both_stacks!(what_watchers_are_sent_is_what_the_document_says);

fn generated() -> String {
    format!("{}\n", serde_json::to_string_pretty(&api::asyncapi::document()).unwrap())
}

#[test]
fn the_checked_in_asyncapi_document_is_the_generated_one() {
    let checked_in = std::fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    assert!(
        checked_in == generated(),
        "docs/asyncapi.json is not what is sent; refresh it with:\n  \
         cargo test -p api --test it -- --ignored refresh_the_asyncapi_document"
    );
}

#[test]
#[ignore = "writes docs/asyncapi.json"]
fn refresh_the_asyncapi_document() {
    std::fs::write(Path::new(FILE), generated()).unwrap();
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_understood() {
    let document = api::asyncapi::document();
    let mut references = 0;
    visit(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            assert!(find(&document, reference).is_object(), "{reference}");
        }
    });
    assert!(references > 30, "{references}");
}

#[test]
fn messages_between_processes_are_what_the_document_says() {
    let document = api::asyncapi::document();
    let job_id = Uuid::now_v7();
    let error = Problem::invalid(vec![model::problem::FieldError { pointer: "/a".into(), detail: "b".into() }]);
    for (schema, message) in [
        ("RunJob", Message::RunJob { job_id }),
        ("SendDelivery", Message::SendDelivery { delivery_id: job_id }),
        ("DeadJob", Message::DeadJob { job_id, tenant: "acme".into(), report: "numbers".into(), error: error.clone() }),
    ] {
        check(&document, schema, &serde_json::to_value(message).unwrap());
    }
    let (now, caller) = (chrono::Utc::now(), ana());
    for (kind, next) in [("submitted", None), ("retrying", Some(now))] {
        let event = model::event::Event {
            job_id,
            seq: 1,
            caller: caller.clone(),
            kind: kind.parse().unwrap(),
            state: model::job::JobState::Retrying,
            attempt: 1,
            error: next.map(|_| error.clone()),
            refused: next
                .map(|_| model::refusal::Refusal { format: model::artifact::Format::Pdf, problem: error.clone() })
                .into_iter()
                .collect(),
            next_attempt_at: next,
            at: now,
            leader: next.map(|_| job_id),
        };
        check(&document, "BroadcastEvent", &serde_json::to_value(Broadcast::Event(event)).unwrap());
    }
    for total_rows in [None, Some(5)] {
        let progress = Progress { phase: Phase::Reading, total_rows, ..Progress::default() };
        let broadcast = Broadcast::Progress { job_id, caller: caller.clone(), attempt: 1, progress };
        check(&document, "BroadcastProgress", &serde_json::to_value(broadcast).unwrap());
    }
}

#[test]
fn a_message_that_is_not_as_the_document_says_is_found() {
    let document = api::asyncapi::document();
    let right = json!({"type": "run-job.v1", "job_id": Uuid::now_v7()});
    check(&document, "RunJob", &right);
    for (field, value) in
        [("job_id", json!("x")), ("job_id", Value::Null), ("type", json!("other")), ("more", json!(1))]
    {
        let mut wrong = right.clone();
        wrong[field] = value;
        let schema = find(&document, "#/components/schemas/RunJob");
        assert!(!is_valid(&document, schema, &wrong), "{wrong}");
    }
}

async fn what_watchers_are_sent_is_what_the_document_says(stack: Stack) {
    let api = Api::start(stack).await;
    let document = body(api.plain(reqwest::Method::GET, "/asyncapi.json").send().await.unwrap()).await;
    assert_eq!(document, api::asyncapi::document());
    let mut stream = Stream::open(api.get("/v1/events")).await;
    let mut socket = Socket::open(&api.url, "/v1/ws", &api.key).await;
    let (one, two) = (api.submit_job().await, api.submit_job().await);
    let job = api.claim(one).await;
    let progress = Progress { phase: Phase::Reading, rows: 1, total_rows: Some(9), ..Progress::default() };
    api.backends.broker.broadcast(Broadcast::Progress { job_id: one, caller: ana(), attempt: job.attempt, progress });
    let problem = Problem::new(ProblemKind::SourceUnavailable, "The source is down.");
    let delay = model::retry_schedule::RetryDelay {
        queue: std::time::Duration::from_secs(5),
        due_after: std::time::Duration::from_secs(5),
    };
    api.settle(&job, store::Ending::RetryLater(problem, delay)).await;
    api.finish(two, b"x").await;
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != "done") {
        let frame = stream.next_event().await.unwrap();
        let schema = if frame.id.is_some() { "CloudEvent" } else { "CloudProgress" };
        check(&document, schema, &frame.data.unwrap());
        names.push(frame.name.unwrap());
    }
    for name in ["submitted", "started", "retrying"] {
        assert!(names.iter().any(|seen| seen == name), "{names:?}");
    }
    let mut seen = Vec::new();
    while seen.last().is_none_or(|name| name != "done") {
        if let Said::Event(said) = socket.next().await {
            check(&document, "SocketMessage", &said);
            seen.push(said["event"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen[0], "position");
    api.stop().await;
}

fn check(document: &Value, schema: &str, value: &Value) {
    let schema = find(document, &format!("#/components/schemas/{schema}"));
    assert!(is_valid(document, schema, value), "{value}\nis not\n{schema:#}");
}

fn find<'a>(document: &'a Value, reference: &str) -> &'a Value {
    document.pointer(reference.strip_prefix('#').unwrap()).unwrap_or(&Value::Null)
}

/// The keywords the document uses, and no others. An object has no field that is not described.
fn is_valid(document: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().expect("a schema").iter().all(|(keyword, rule)| match keyword.as_str() {
        "$ref" => is_valid(document, find(document, rule.as_str().unwrap()), value),
        "type" => match rule {
            Value::Array(types) => types.iter().any(|one| is_of(one.as_str().unwrap(), value)),
            one => is_of(one.as_str().unwrap(), value),
        },
        "const" => rule == value,
        "enum" => rule.as_array().unwrap().contains(value),
        "oneOf" => rule.as_array().unwrap().iter().filter(|one| is_valid(document, one, value)).count() == 1,
        "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "properties" => value.as_object().is_none_or(|fields| {
            fields.iter().all(|(name, field)| rule.get(name).is_some_and(|schema| is_valid(document, schema, field)))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(document, rule, item))),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "format" => value.as_str().is_none_or(|text| match rule.as_str().unwrap() {
            "uuid" => Uuid::try_parse(text).is_ok(),
            "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            other => panic!("an unknown format: {other}"),
        }),
        "description" | "title" => true,
        other => panic!("an unknown keyword: {other}"),
    })
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("an unknown type: {other}"),
    }
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(fields) => fields.values().for_each(|field| visit(field, see)),
        _ => {}
    }
}
