//! Jobs that are done without the formats that could not hold their rows.

use model::artifact::Format;
use model::problem::{Problem, ProblemKind};
use model::refusal::Refusal;
use reqwest::StatusCode;
use serde_json::{Value, json};
use store::Ending;
use uuid::Uuid;

use crate::api::{Api, Stack, body, id_of, on_both_stacks, problem};
use crate::sse::Stream;

on_both_stacks!(
    a_job_says_which_formats_are_missing_and_why,
    a_job_that_wants_all_is_never_answered_by_less,
    a_further_format_that_was_refused_is_refused_again,
    what_is_to_become_of_a_refusal_is_one_of_two,
);

const WHY: &str = "two columns are called `id`, which an Excel workbook cannot say";

/// Asks for three formats, or those of them that can be made.
fn any(reuse: bool) -> Value {
    let params = json!({"amount": 7, "secret": "hush"});
    let mut asked =
        json!({"report": "kept", "params": params, "formats": ["csv", "parquet", "xlsx"], "on_refusal": "keep_others"});
    if reuse {
        asked["reuse"] = json!({"max_age": 3600});
    }
    asked
}

/// Brings a job to `done` with files in some formats.
async fn finish_without(api: &Api, id: Uuid, refusing: &[Format]) {
    let job = api.claim(id).await;
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for format in [Format::Csv, Format::Parquet, Format::Xlsx] {
        if refusing.contains(&format) {
            refused.push(Refusal { format, problem: Problem::new(ProblemKind::UnsupportedColumn, WHY) });
        } else {
            made.push(api.store_file(&job, format, b"some rows").await);
        }
    }
    api.settle(&job, Ending::DoneInPart(made, refused)).await;
}

async fn a_job_says_which_formats_are_missing_and_why(stack: Stack) {
    let api = Api::start(stack).await;
    let accepted = body(api.submit(&any(false)).await).await;
    assert_eq!((&accepted["on_refusal"], &accepted["refused"]), (&json!("keep_others"), &json!([])));
    let id = id_of(&accepted);
    finish_without(&api, id, &[Format::Xlsx]).await;
    let expected = json!([{"format": "xlsx", "problem": {
        "type": "https://waitless.dev/problems/unsupported-column", "title": "A column cannot be written to this format", "status": 500,
        "detail": WHY,
    }}]);
    let job = api.read(id).await;
    let listed = body(api.get("/v1/jobs?state=done").send().await.unwrap()).await;
    for job in [&job, &listed["jobs"][0]] {
        assert_eq!((&job["state"], &job["refused"], &job["error"]), (&json!("done"), &expected, &Value::Null));
        assert_eq!(job["artifacts"].as_array().unwrap().len(), 2);
        assert_eq!(job["formats"], json!(["csv", "parquet", "xlsx"]));
    }
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    let mut last = None;
    while let Some(frame) = stream.next_event().await {
        last = Some(frame);
    }
    let last = last.unwrap();
    assert_eq!((last.name.as_deref(), &last.data.unwrap()["data"]["refused"]), (Some("done"), &expected));
    for place in ["", "/receipt"] {
        let answer = api.get(&format!("/v1/jobs/{id}/artifacts/xlsx{place}")).send().await.unwrap();
        let (status, kind, said) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (404, "artifact-not-found"));
        assert!(said["detail"].as_str().unwrap().contains(WHY), "{said}");
    }
    let receipt = api.get(&format!("/v1/jobs/{id}/artifacts/parquet/receipt")).send().await.unwrap();
    assert_eq!(receipt.status(), StatusCode::OK);
    let links = body(api.get(&format!("/v1/jobs/{id}/links")).send().await.unwrap()).await;
    assert_eq!(links["links"].as_array().unwrap().len(), 2);
    api.stop().await;
}

async fn a_job_that_wants_all_is_never_answered_by_less(stack: Stack) {
    let api = Api::start(stack).await;
    let first = body(api.submit(&any(true)).await).await;
    let mut all = any(true);
    all["on_refusal"] = json!("fail");
    let own = body(api.submit(&all).await).await;
    assert_eq!((&own["served"], &own["on_refusal"]), (&json!("cold"), &json!("fail")), "it does not join");
    finish_without(&api, id_of(&first), &[Format::Xlsx]).await;
    all.as_object_mut().unwrap().remove("on_refusal");
    let joined = body(api.submit(&all).await).await;
    assert_eq!(joined["served"], json!("joined"), "fail is what is meant without it");
    api.fail(id_of(&own)).await;
    let cold = body(api.submit(&all).await).await;
    assert_eq!(cold["served"], json!("cold"));
    let warm = body(api.submit(&any(true)).await).await;
    assert_eq!((&warm["served"], &warm["refused"][0]["format"]), (&json!("warm"), &json!("xlsx")));
    assert_eq!(warm["artifacts"].as_array().unwrap().len(), 2);
    api.stop().await;
}

async fn a_further_format_that_was_refused_is_refused_again(stack: Stack) {
    let api = Api::start(stack).await;
    let ask = async |id: Uuid| {
        let asked = json!({"formats": ["xlsx"], "on_refusal": "keep_others"});
        api.post(&format!("/v1/jobs/{id}/formats")).json(&asked).send().await.unwrap()
    };
    let id = id_of(&body(api.submit(&any(false)).await).await);
    finish_without(&api, id, &[Format::Xlsx]).await;
    let (status, kind, said) = problem(ask(id).await).await;
    assert_eq!(
        (status, kind.as_str(), &said["errors"][0]["pointer"]),
        (422, "validation-failed", &json!("/formats/0"))
    );
    assert!(said["errors"][0]["detail"].as_str().unwrap().contains(WHY), "{said}");
    let id = id_of(&body(api.submit(&any(false)).await).await);
    finish_without(&api, id, &[Format::Parquet, Format::Xlsx]).await;
    let (status, kind, said) = problem(ask(id).await).await;
    assert_eq!((status, kind.as_str()), (409, "parquet-missing"));
    assert!(said["detail"].as_str().unwrap().contains(WHY), "{said}");
    api.stop().await;
}

async fn what_is_to_become_of_a_refusal_is_one_of_two(stack: Stack) {
    let api = Api::start(stack).await;
    for wrong in [json!("keep"), json!(true), json!(["fail"])] {
        let mut asked = any(false);
        asked["on_refusal"] = wrong;
        let (status, kind, said) = problem(api.submit(&asked).await).await;
        assert_eq!(
            (status, kind.as_str(), &said["errors"][0]["pointer"]),
            (422, "validation-failed", &json!("/on_refusal"))
        );
        assert!(said["errors"][0]["detail"].as_str().unwrap().contains("fail, keep_others"), "{said}");
    }
    let shown = body(api.submit(&json!({"report": "numbers"})).await).await;
    assert_eq!(shown["on_refusal"], json!("fail"));
    api.stop().await;
}
