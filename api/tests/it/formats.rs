//! Further formats of a finished job, made from the Parquet file it kept.

use std::time::Duration;

use model::artifact::{Format, NewArtifact};
use model::job::Job;
use model::seal::SealedJob;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use store::{Ending, Scope};
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    a_further_format_is_a_job_made_from_the_kept_file,
    the_same_format_again_joins_or_is_there_already,
    a_repeated_request_is_answered_the_same_whatever_became_of_the_file,
    without_a_whole_parquet_file_it_is_said_what_to_do,
    what_is_wrong_with_the_request_is_told_with_pointers,
    another_tenant_finds_no_such_job,
);

async fn ask(api: &Api, id: Uuid, asked: &Value) -> Response {
    api.post(&format!("/v1/jobs/{id}/formats")).json(asked).send().await.unwrap()
}

fn excel() -> Value {
    json!({"formats": ["xlsx"]})
}

/// Submits a report that is asked for as Parquet and CSV.
async fn submit(api: &Api, report: &str) -> Uuid {
    let asked = json!({"report": report, "params": {"amount": 7, "secret": "hush"}, "formats": ["csv", "parquet"]});
    id_of(&body(api.submit(&asked).await).await)
}

/// Brings a job to `done` with a file in each of these formats; `change` has its way with each.
async fn finish(api: &Api, id: Uuid, formats: &[Format], change: impl Fn(&mut NewArtifact)) -> Job {
    let job = api.claim(id).await;
    let mut made = Vec::new();
    for format in formats {
        let mut artifact = api.store_file(&job, *format, b"some rows").await;
        change(&mut artifact);
        made.push(artifact);
    }
    api.settle(&job, Ending::Done(made)).await;
    api.job(id).await
}

/// A finished job that kept a Parquet file.
async fn kept(api: &Api) -> Job {
    let id = submit(api, "kept").await;
    finish(api, id, &[Format::Csv, Format::Parquet], |_| ()).await
}

async fn a_further_format_is_a_job_made_from_the_kept_file(stack: Stack) {
    let api = Api::start(stack).await;
    let first = kept(&api).await;
    let notify = json!([{"channel": "email", "to": "ana@example.com"}]);
    let answer = ask(&api, first.id, &json!({"formats": ["xlsx"], "notify": notify})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&answer, "cache-status").as_deref(), Some("waitless; fwd=miss"));
    let location = header(&answer, "location").unwrap();
    let shown = body(answer).await;
    assert!(location.ends_with(&format!("/v1/jobs/{}", id_of(&shown))));
    assert_eq!(shown["made_from"], json!(first.id));
    assert_eq!((&shown["state"], &shown["formats"]), (&json!("pending"), &json!(["xlsx"])));
    assert_eq!(shown["params"], json!({"day": "2026-01-31", "amount": 7, "secret": "(hidden)"}));
    assert_eq!(shown["report_version"], json!(first.report_version));
    let job = api.job(id_of(&shown)).await;
    assert_eq!((job.sharing.made_from, job.notify.len()), (Some(first.id), 1));
    let keys = api.config.service.derive_seal_keys().unwrap();
    let opened = |job: &Job| keys.open(SealedJob::from(job), &job.params).unwrap();
    assert_eq!((opened(&job), &opened(&job)["secret"]), (opened(&first), &json!("hush")));
    assert_ne!(job.params["secret"], first.params["secret"], "sealed for itself");
    let done = finish(&api, job.id, &[Format::Xlsx], |_| ()).await;
    assert_eq!(done.artifacts[0].expires_at, first.artifacts[1].expires_at, "it goes with the file it was made from");
    assert_eq!(api.read(first.id).await["made_from"], Value::Null);
    assert_eq!(api.read(job.id).await["made_from"], json!(first.id));
    api.stop().await;
}

async fn the_same_format_again_joins_or_is_there_already(stack: Stack) {
    let api = Api::start(stack).await;
    let first = kept(&api).await;
    let leader = body(ask(&api, first.id, &excel()).await).await;
    let joined = ask(&api, first.id, &excel()).await;
    assert_eq!(header(&joined, "cache-status").as_deref(), Some("waitless; fwd=miss; collapsed"));
    let joined = body(joined).await;
    assert_eq!((&joined["served"], &joined["made_from"]), (&json!("joined"), &json!(first.id)));
    finish(&api, id_of(&leader), &[Format::Xlsx], |_| ()).await;
    let warm = ask(&api, first.id, &excel()).await;
    assert_eq!(warm.status(), StatusCode::OK);
    assert_eq!(header(&warm, "cache-status").as_deref(), Some("waitless; hit"));
    let warm = body(warm).await;
    assert_eq!((&warm["state"], &warm["made_from"]), (&json!("done"), &json!(first.id)));
    assert_eq!(warm["artifacts"][0]["format"], "xlsx");
    // Another run has another file, though its rows be the same.
    let other = kept(&api).await;
    let cold = body(ask(&api, other.id, &excel()).await).await;
    assert_eq!((&cold["served"], &cold["made_from"]), (&json!("cold"), &json!(other.id)));
    // Nor is a run of the report itself answered by it.
    let asked = json!({"report": "kept", "formats": ["xlsx"], "params": {"amount": 7, "secret": "hush"}, "reuse": {"max_age": 3600}});
    let own = body(api.submit(&asked).await).await;
    assert_eq!((&own["served"], &own["made_from"]), (&json!("cold"), &Value::Null));
    api.stop().await;
}

async fn a_repeated_request_is_answered_the_same_whatever_became_of_the_file(stack: Stack) {
    let api = Api::start(stack).await;
    let (first, other) = (kept(&api).await, kept(&api).await);
    let keyed = |id: Uuid, key: &str, asked: Value| {
        let request = api.post(&format!("/v1/jobs/{id}/formats")).header("idempotency-key", key);
        request.json(&asked).send()
    };
    let made = keyed(first.id, "one", excel()).await.unwrap();
    assert_eq!(made.status(), StatusCode::ACCEPTED);
    let made = made.text().await.unwrap();
    let again = keyed(first.id, "one", excel()).await.unwrap();
    assert_eq!(header(&again, "idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.text().await.unwrap(), made);
    let (status, kind, _) = problem(keyed(other.id, "one", excel()).await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (422, "idempotency-key-reused"), "another job is another request");
    let (status, kind, _) = problem(keyed(first.id, "one", json!({"formats": ["csv"]})).await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (422, "idempotency-key-reused"), "and so is another body, be it wrong");
    api.stop().await;
}

async fn without_a_whole_parquet_file_it_is_said_what_to_do(stack: Stack) {
    let api = Api::start(stack).await;
    let waiting = submit(&api, "kept").await;
    let (status, kind, said) = problem(ask(&api, waiting, &excel()).await).await;
    assert_eq!((status, kind.as_str()), (409, "wrong-state"));
    assert!(said["detail"].as_str().unwrap().contains("once it is done"), "{said}");

    let without = submit(&api, "kept").await;
    finish(&api, without, &[Format::Csv], |_| ()).await;
    let (status, kind, said) = problem(ask(&api, without, &excel()).await).await;
    assert_eq!((status, kind.as_str()), (409, "parquet-missing"));
    assert!(said["detail"].as_str().unwrap().contains("Run the report again, and ask for parquet"), "{said}");

    let cut = submit(&api, "kept").await;
    finish(&api, cut, &[Format::Parquet], |artifact| artifact.complete = false).await;
    let (status, kind, said) = problem(ask(&api, cut, &excel()).await).await;
    assert_eq!((status, kind.as_str()), (409, "parquet-missing"));
    assert!(said["detail"].as_str().unwrap().contains("narrower"), "{said}");

    let gone = submit(&api, "gone").await;
    let expires_at = finish(&api, gone, &[Format::Parquet], |_| ()).await.artifacts[0].expires_at;
    testing::eventually(Duration::from_secs(20), "the file to expire", async || {
        (api.backends.store.now().await.unwrap() > expires_at).then_some(())
    })
    .await;
    let (status, kind, said) = problem(ask(&api, gone, &excel()).await).await;
    assert_eq!((status, kind.as_str()), (410, "artifact-expired"));
    assert!(said["detail"].as_str().unwrap().contains("Run the report again"), "{said}");
    api.stop().await;
}

async fn what_is_wrong_with_the_request_is_told_with_pointers(stack: Stack) {
    let api = Api::start(stack).await;
    let first = kept(&api).await;
    for (asked, pointer, word) in [
        (json!({}), "/formats", "is required"),
        (json!({"formats": []}), "/formats", "at least one"),
        (json!({"formats": "xlsx"}), "/formats", "must be a list"),
        (json!({"formats": ["xlsx", "csv"]}), "/formats/1", "is there already: GET /v1/jobs/"),
        (json!({"formats": ["xlsx", "xlsx"]}), "/formats/1", "is there twice"),
        (json!({"formats": ["pdf"]}), "/formats/0", "must be one of: csv, parquet, xlsx"),
        (json!({"formats": ["xlsx"], "notify": [{"channel": "email"}]}), "/notify/0/to", "must be one mail address"),
        (json!({"formats": ["xlsx"], "params": {}}), "/params", "is not a known field"),
    ] {
        let (status, kind, said) = problem(ask(&api, first.id, &asked).await).await;
        assert_eq!((status, kind.as_str()), (422, "validation-failed"), "{asked}");
        assert_eq!(said["errors"][0]["pointer"], pointer, "{said}");
        assert!(said["errors"][0]["detail"].as_str().unwrap().contains(word), "{said}");
    }
    let (status, kind, _) = problem(ask(&api, first.id, &json!([1])).await).await;
    assert_eq!((status, kind.as_str()), (400, "invalid-body"));
    let answer = api.post("/v1/jobs/nonsense/formats").json(&excel()).send().await.unwrap();
    assert_eq!(problem(answer).await.0, 400);
    api.stop().await;
}

async fn another_tenant_finds_no_such_job(stack: Stack) {
    let api = Api::start(stack).await;
    let first = kept(&api).await;
    let path = format!("/v1/jobs/{}/formats", first.id);
    let zoe = api.make_key(&caller("zenith", "zoe"), &Scope::ALL).await;
    let answer = api.plain(Method::POST, &path).bearer_auth(zoe).json(&excel()).send().await.unwrap();
    assert_eq!(problem(answer).await.1, "job-not-found");
    let reader = api.make_key(&caller("acme", "ana"), &[Scope::Read]).await;
    let answer = api.plain(Method::POST, &path).bearer_auth(reader).json(&excel()).send().await.unwrap();
    assert_eq!(problem(answer).await.1, "forbidden");
    api.stop().await;
}
