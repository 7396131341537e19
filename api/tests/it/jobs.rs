//! Reading, listing, cancelling and replaying jobs; the catalogue.

use model::job::JobState;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Api, Stack, body, header, id_of, on_both_stacks, problem, steady};

on_both_stacks!(
    a_job_that_has_not_changed_is_not_sent_again,
    a_finished_job_shows_its_files_and_a_failed_one_its_problem,
    jobs_are_listed_newest_first_page_by_page,
    a_list_is_filtered_by_state_and_report,
    a_cursor_that_was_altered_or_moved_is_refused,
    a_query_that_cannot_be_read_is_refused,
    a_cancelled_job_stays_cancelled,
    a_done_job_cannot_be_cancelled,
    a_failed_job_runs_again_and_no_other,
    the_catalogue_is_shown_with_the_schema_of_each_report,
    a_preview_is_shown_while_it_is_kept_and_else_it_is_said_what_to_do,
);

async fn a_job_that_has_not_changed_is_not_sent_again(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let path = format!("/v1/jobs/{id}");
    let first = api.get(&path).send().await.unwrap();
    assert_eq!(header(&first, "retry-after").unwrap().parse::<u32>().unwrap(), 1);
    let tag = header(&first, "etag").unwrap();
    let again = |tag: String| api.get(&path).header("if-none-match", tag).send();
    let same = again(tag.clone()).await.unwrap();
    assert_eq!((same.status(), header(&same, "etag").as_ref()), (StatusCode::NOT_MODIFIED, Some(&tag)));
    assert_eq!(header(&same, "retry-after").unwrap(), "1");
    assert!(same.bytes().await.unwrap().is_empty());
    assert_eq!(again(format!("\"x\", {tag}")).await.unwrap().status(), StatusCode::NOT_MODIFIED);

    api.finish(id, b"x").await;
    let changed = again(tag.clone()).await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(header(&changed, "etag").unwrap(), tag);
    assert_eq!(header(&changed, "retry-after"), None);
    api.stop().await;
}

async fn a_finished_job_shows_its_files_and_a_failed_one_its_problem(stack: Stack) {
    let api = Api::start(stack).await;
    let done = api.submit_job().await;
    api.finish(done, b"day,amount\r\n2026-01-31,1\r\n").await;
    insta::assert_json_snapshot!("done_job", steady(&api, api.read(done).await));
    let failed = api.submit_job().await;
    api.fail(failed).await;
    insta::assert_json_snapshot!("failed_job", steady(&api, api.read(failed).await));
    api.stop().await;
}

async fn jobs_are_listed_newest_first_page_by_page(stack: Stack) {
    let api = Api::start(stack).await;
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.push(api.submit_job().await);
    }
    assert!(submitted.is_sorted(), "ids sort by age");
    submitted.reverse();
    let (mut listed, mut pages) = (Vec::new(), 0);
    let mut next = Some("/v1/jobs?limit=2".to_owned());
    while let Some(path) = next {
        let answer = api.get(&path).send().await.unwrap();
        let link = header(&answer, "link");
        let page = body(answer).await;
        listed.extend(page["jobs"].as_array().unwrap().iter().map(id_of));
        next = link.map(|link| link.strip_prefix('<').unwrap().split_once(">; rel=\"next\"").unwrap().0.to_owned());
        assert_eq!(next.is_some(), page["next"].is_string());
        pages += 1;
    }
    assert_eq!((listed, pages), (submitted, 3));
    api.stop().await;
}

async fn a_list_is_filtered_by_state_and_report(stack: Stack) {
    let api = Api::start(stack).await;
    let done = api.submit_job().await;
    api.finish(done, b"").await;
    let pending = api.submit_job().await;
    let strict = json!({"report": "strict", "params": {"choice": "a", "many": ["1"]}});
    let strict = id_of(&body(api.submit(&strict).await).await);
    let ids = async |query: &str| -> Vec<Uuid> {
        let page = body(api.get(&format!("/v1/jobs?{query}")).send().await.unwrap()).await;
        page["jobs"].as_array().unwrap().iter().map(id_of).collect()
    };
    assert_eq!(ids("state=done").await, [done]);
    assert_eq!(ids("state=pending").await, [strict, pending]);
    assert_eq!(ids("report=strict").await, [strict]);
    assert!(ids("report=strict&state=done").await.is_empty());
    api.stop().await;
}

async fn a_cursor_that_was_altered_or_moved_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    for _ in 0..2 {
        api.submit_job().await;
    }
    let page = body(api.get("/v1/jobs?limit=1").send().await.unwrap()).await;
    let cursor = page["next"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/jobs?limit=1&cursor={cursor}")).send().await.unwrap().status(), 200);
    let mut altered = cursor.to_owned();
    let first = if altered.starts_with('A') { "B" } else { "A" };
    altered.replace_range(0..1, first);
    let moved = format!("/v1/jobs?state=done&cursor={cursor}");
    let elsewhere = format!("/v1/admin/dead-letters?cursor={cursor}");
    for path in [
        format!("/v1/jobs?cursor={altered}"),
        "/v1/jobs?cursor=".to_owned(),
        "/v1/jobs?cursor=%00".to_owned(),
        moved,
        elsewhere,
    ] {
        let (status, kind, _) = problem(api.get(&path).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-query"), "{path}");
    }
    api.stop().await;
}

async fn a_query_that_cannot_be_read_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    for query in ["limit=0", "limit=201", "limit=-1", "limit=many", "state=asleep", "tenant=other", "limit=1&limit=2"] {
        let (status, kind, _) = problem(api.get(&format!("/v1/jobs?{query}")).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-query"), "{query}");
    }
    let (status, kind, _) = problem(api.get("/v1/jobs/not-a-uuid").send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (400, "invalid-query"));
    let (status, kind, _) = problem(api.get(&format!("/v1/jobs/{}", Uuid::now_v7())).send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (404, "job-not-found"));
    api.stop().await;
}

async fn a_cancelled_job_stays_cancelled(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    for _ in 0..2 {
        let answer = api.post(&format!("/v1/jobs/{id}/cancel")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(body(answer).await["state"], "cancelled");
    }
    let (status, kind, _) = problem(api.post(&format!("/v1/jobs/{id}/replay")).send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (409, "wrong-state"));
    api.stop().await;
}

async fn a_done_job_cannot_be_cancelled(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    api.finish(id, b"x").await;
    let (status, kind, said) = problem(api.post(&format!("/v1/jobs/{id}/cancel")).send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (409, "wrong-state"));
    assert!(said["detail"].as_str().unwrap().contains("done"));
    assert_eq!(api.job(id).await.state, JobState::Done);
    api.stop().await;
}

async fn a_failed_job_runs_again_and_no_other(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let replay = || api.post(&format!("/v1/jobs/{id}/replay")).send();
    assert_eq!(problem(replay().await.unwrap()).await.1, "wrong-state");
    api.fail(id).await;
    let answer = replay().await.unwrap();
    assert_eq!((answer.status(), header(&answer, "retry-after").unwrap().as_str()), (StatusCode::ACCEPTED, "1"));
    let job = body(answer).await;
    assert_eq!((&job["state"], &job["error"], &job["attempt"]), (&json!("pending"), &Value::Null, &json!(1)));
    assert_eq!(problem(replay().await.unwrap()).await.1, "wrong-state");
    api.stop().await;
}

async fn the_catalogue_is_shown_with_the_schema_of_each_report(stack: Stack) {
    let api = Api::start(stack).await;
    let list = body(api.get("/v1/reports").send().await.unwrap()).await;
    let names: Vec<_> = list["reports"].as_array().unwrap().iter().map(|report| &report["name"]).collect();
    assert_eq!(names, ["fleeting", "gone", "kept", "lasting", "numbers", "own", "strict"]);
    let one = body(api.get("/v1/reports/numbers").send().await.unwrap()).await;
    insta::assert_json_snapshot!("report", one, {".version" => "[version]"});
    let (status, kind, _) = problem(api.get("/v1/reports/none").send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (404, "report-not-found"));
    api.stop().await;
}

async fn a_preview_is_shown_while_it_is_kept_and_else_it_is_said_what_to_do(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let path = format!("/v1/jobs/{id}/preview");
    let ask = async || {
        let answer = api.get(&path).send().await.unwrap();
        let retry = header(&answer, "retry-after");
        let (status, kind, said) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (404, "preview-not-found"));
        (retry, said["detail"].as_str().unwrap().to_owned())
    };
    let (retry, said) = ask().await;
    assert!(retry.as_deref() == Some("1") && said.contains("waits for a worker"), "{said}");
    let job = api.claim(id).await;
    let (retry, said) = ask().await;
    assert!(retry.as_deref() == Some("1") && said.contains("has read no row yet"), "{said}");
    let rows = json!({"columns": [{"name": "day", "type": "date"}], "rows": [["2026-01-31"]], "complete": false});
    let (worker_id, attempt) = (job.worker_id.unwrap(), job.attempt);
    let preview = store::NewPreview { job_id: id, worker_id, attempt, body: rows.to_string() };
    assert!(api.backends.store.save_preview(preview).await.unwrap());
    let shown = api.get(&path).send().await.unwrap();
    assert_eq!(header(&shown, "cache-control").as_deref(), Some("private, no-cache"));
    assert_eq!(body(shown).await, rows);
    let quick = api.submit_job().await;
    api.finish(quick, b"x").await;
    let answer = api.get(&format!("/v1/jobs/{quick}/preview")).send().await.unwrap();
    assert_eq!(header(&answer, "retry-after"), None);
    let (status, _, said) = problem(answer).await;
    assert!(status == 404 && said["detail"].as_str().unwrap().contains("fetch a file"), "{said}");
    api.stop().await;
}
