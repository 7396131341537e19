//! What was removed for good says so, and nothing of it is answered any more.

use reqwest::{Method, StatusCode};
use uuid::Uuid;

use crate::api::{Api, Stack, on_both_stacks, problem};

on_both_stacks!(a_link_to_a_job_that_was_removed_says_that_it_is_gone);

async fn a_link_to_a_job_that_was_removed_says_that_it_is_gone(stack: Stack) {
    let api = Api::start(stack).await;
    let id: Uuid = api.submit_job().await;
    let job = api.finish(id, b"a,b\r\n").await;
    let link = format!("/d/{}", job.artifacts[0].link_token(api.config.service.link_secret.all()));
    let whom = job.caller.clone();
    let erased = runtime::erase::erase(api.backends.store.as_ref(), &api.backends.storage, &whom).await.unwrap();
    assert_eq!((erased.removed.jobs, erased.removed.files, erased.removed.keys, erased.left), (1, 1, 1, 0));
    assert!(api.backends.storage.read(&job.artifacts[0].object_key, None).await.is_err(), "the file is gone too");
    let answer = api.plain(Method::GET, &link).send().await.unwrap();
    let (status, kind, said) = problem(answer).await;
    assert_eq!((status, kind.as_str()), (410, "link-expired"));
    assert!(said["detail"].as_str().unwrap().contains("no longer kept"), "{said}");
    let page = api.plain(Method::GET, &link).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::GONE);
    let never = api.plain(Method::GET, &format!("/d/{}", "A".repeat(43))).send().await.unwrap();
    assert_eq!(problem(never).await.1, "link-not-found");
    // The key went too.
    assert_eq!(api.get(&format!("/v1/jobs/{}", Uuid::now_v7())).send().await.unwrap().status().as_u16() / 100, 4);
    api.stop().await;
}
