//! `GET /v1/jobs/{id}/events` and `GET /v1/events`.

use std::time::Duration;

use model::event::Broadcast;
use model::problem::{Problem, ProblemKind};
use model::progress::{Phase, Progress};
use model::retry_schedule::RetryDelay;
use serde_json::json;
use store::{Ending, Scope};
use uuid::Uuid;

use crate::api::{Api, Stack, ana, caller, on_both_stacks, problem};
use crate::sse::Stream;

on_both_stacks!(
    a_watcher_sees_the_history_and_what_follows_until_the_end,
    a_watcher_that_comes_back_after_any_event_sees_every_later_one_and_one_end,
    a_watcher_of_a_replayed_job_sees_one_end,
    progress_is_shown_without_an_id_and_never_after_the_end,
    a_reload_shows_the_progress_at_once,
    an_event_id_that_is_not_ours_is_refused,
    events_whose_broadcast_was_lost_come_all_the_same,
    a_feed_shows_all_jobs_of_its_caller_and_no_others,
    a_feed_that_comes_back_misses_nothing,
    a_watcher_that_says_nothing_is_pinged,
    watchers_are_limited_and_give_their_place_back,
    watchers_leave_when_the_gateway_stops,
    a_gateway_that_is_told_to_stop_is_not_ready_and_serves_on_for_a_while,
    watchers_that_do_not_read_cost_bounded_memory,
);

impl Api {
    pub(crate) fn watch_job(&self, id: Uuid, last: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.get(&format!("/v1/jobs/{id}/events"));
        last.map_or_else(|| self.get(&format!("/v1/jobs/{id}/events")), |last| request.header("last-event-id", last))
    }

    fn progress_of(&self, id: Uuid, attempt: i32, rows: u64) {
        let progress = Progress { phase: Phase::Reading, rows, total_rows: Some(200), ..Progress::default() };
        self.backends.broker.broadcast(Broadcast::Progress { job_id: id, caller: ana(), attempt, progress });
    }

    async fn retry(&self, id: Uuid) {
        let job = self.claim(id).await;
        let delay = RetryDelay { queue: Duration::from_secs(5), due_after: Duration::ZERO };
        let problem = Problem::new(ProblemKind::SourceUnavailable, "The source is down.");
        self.settle(&job, Ending::RetryLater(problem, delay)).await;
    }
}

async fn a_watcher_sees_the_history_and_what_follows_until_the_end(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    let hello = stream.next().await.unwrap();
    assert_eq!(hello.retry.as_deref(), Some("2000"));
    let first = stream.next_event().await.unwrap();
    assert_eq!((first.id.as_deref(), first.name.as_deref()), (Some("1"), Some("submitted")));
    api.finish(id, b"x").await;
    let started = stream.next_state().await.unwrap();
    assert_eq!((started.id.as_deref(), started.name.as_deref()), (Some("2"), Some("started")));
    let done = stream.next_state().await.unwrap();
    let data = done.data.unwrap();
    assert_eq!(data["id"], format!("{id}/3"));
    insta::assert_json_snapshot!("done_event", data, {
        ".id" => "[id]", ".subject" => "[id]", ".time" => "[time]", ".data.job_id" => "[id]",
    });
    assert_eq!(stream.next().await, None);
    let over = api.watch_job(id, Some("3")).send().await.unwrap();
    assert_eq!(over.status(), 204);
    api.stop().await;
}

async fn a_watcher_that_comes_back_after_any_event_sees_every_later_one_and_one_end(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    // One watcher of each past, all open before the job goes on.
    api.retry(id).await;
    let all = ["submitted", "started", "retrying", "started", "done"];
    let mut open = Vec::new();
    for last in 0..=3 {
        let last_id = last.to_string();
        open.push((last, Stream::open(api.watch_job(id, Some(&last_id))).await));
    }
    api.finish(id, b"x").await;
    for (last, mut stream) in open {
        assert_eq!(stream.names_until_end().await, all[last..], "after {last}");
    }
    // And one more of each past, after the end.
    for last in 0..all.len() {
        let last_id = last.to_string();
        let mut stream = Stream::open(api.watch_job(id, Some(&last_id))).await;
        assert_eq!(stream.names_until_end().await, all[last..], "after {last}");
    }
    assert_eq!(api.watch_job(id, Some("5")).send().await.unwrap().status(), 204);
    api.stop().await;
}

async fn a_watcher_of_a_replayed_job_sees_one_end(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    api.fail(id).await;
    assert_eq!(api.watch_job(id, Some("3")).send().await.unwrap().status(), 204);
    assert_eq!(api.post(&format!("/v1/jobs/{id}/replay")).send().await.unwrap().status(), 202);
    let mut back = Stream::open(api.watch_job(id, Some("3"))).await;
    api.finish(id, b"x").await;
    assert_eq!(back.names_until_end().await, ["replayed", "started", "done"]);
    let mut fresh = Stream::open(api.watch_job(id, None)).await;
    assert_eq!(fresh.names_until_end().await, ["replayed", "started", "done"]);
    api.stop().await;
}

async fn progress_is_shown_without_an_id_and_never_after_the_end(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    let job = api.claim(id).await;
    while stream.next_state().await.unwrap().name.as_deref() != Some("started") {}
    api.progress_of(id, job.attempt, 100);
    let progress = loop {
        let frame = stream.next_event().await.unwrap();
        if frame.data.as_ref().unwrap()["data"]["progress"]["rows"] == 100 {
            break frame;
        }
    };
    assert_eq!((progress.id, progress.name.as_deref()), (None, Some("progress")));
    let data = progress.data.unwrap();
    assert_eq!(
        (&data["type"], &data["data"]["progress"]["percent"]),
        (&json!("dev.waitless.job.progress"), &json!(50.0))
    );
    let artifact = api.store_file(&job, model::artifact::Format::Csv, b"x").await;
    api.settle(&job, Ending::Done(vec![artifact])).await;
    api.progress_of(id, job.attempt, 200);
    let rest = stream.names_until_end().await;
    assert_eq!(rest, ["done"]);
    api.stop().await;
}

async fn a_reload_shows_the_progress_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let job = api.claim(id).await;
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    let names: Vec<_> = [stream.next_event().await, stream.next_event().await, stream.next_event().await]
        .map(|frame| frame.unwrap().name.unwrap())
        .into();
    assert_eq!(names, ["submitted", "started", "progress"]);
    assert_eq!(job.attempt, 1);
    api.stop().await;
}

async fn an_event_id_that_is_not_ours_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    for last in ["2", "-1", "+1", "x", "1x", "99999999999999999999"] {
        let (status, kind, _) = problem(api.watch_job(id, Some(last)).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-event-id"), "{last}");
    }
    let ben = api.make_key(&caller("acme", "ben"), &[Scope::Read]).await;
    let mut feed = Stream::open(api.plain(reqwest::Method::GET, "/v1/events").bearer_auth(&ben)).await;
    let bens = loop {
        if let Some(id) = feed.next().await.unwrap().id {
            break id;
        }
    };
    for last in ["", "x", "1", bens.as_str()] {
        let request = api.get("/v1/events").header("last-event-id", last);
        let (status, kind, _) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-event-id"), "{last}");
    }
    api.stop().await;
}

async fn events_whose_broadcast_was_lost_come_all_the_same(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    assert_eq!(stream.next_event().await.unwrap().name.as_deref(), Some("submitted"));
    // Another process, whose broadcasts do not reach this gateway, ends the job.
    let (outbox, _unheard) = runtime::outbox::Outbox::new();
    let elsewhere = runtime::open_store(&api.config.database, outbox).await.unwrap();
    elsewhere.cancel(&ana(), id).await.unwrap();
    let last = stream.next_state().await.unwrap();
    assert_eq!((last.id.as_deref(), last.name.as_deref()), (Some("2"), Some("cancelled")));
    assert_eq!(stream.next().await, None);
    api.stop().await;
}

async fn a_feed_shows_all_jobs_of_its_caller_and_no_others(stack: Stack) {
    let api = Api::start(stack).await;
    let mut earlier = Stream::open(api.get("/v1/events")).await;
    let before = api.submit_job().await;
    // Its broadcast has come through before the feed is opened that must not have it.
    earlier.next_state().await.unwrap();
    let mut feed = Stream::open(api.get("/v1/events")).await;
    let foreign = [caller("acme", "ben"), caller("other", "ana")];
    for who in &foreign {
        let key = api.make_key(who, &Scope::ALL).await;
        api.submit_as(&key).await;
    }
    let (one, two) = (api.submit_job().await, api.submit_job().await);
    api.finish(two, b"x").await;
    api.fail(one).await;
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let frame = feed.next_state().await.unwrap();
        let data = &frame.data.as_ref().unwrap()["data"];
        let job: Uuid = data["job_id"].as_str().unwrap().parse().unwrap();
        assert!(job != before && (job == one || job == two));
        seen.push((job, frame.name.unwrap()));
    }
    let of = |job| seen.iter().filter(|(id, _)| *id == job).map(|(_, name)| name.as_str()).collect::<Vec<_>>();
    assert_eq!(of(one), ["submitted", "started", "failed"]);
    assert_eq!(of(two), ["submitted", "started", "done"]);
    api.stop().await;
}

async fn a_feed_that_comes_back_misses_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let mut feed = Stream::open(api.get("/v1/events")).await;
    let id = api.submit_job().await;
    let mut last = feed.next_state().await.unwrap().id.unwrap();
    drop(feed);
    api.retry(id).await;
    api.finish(id, b"x").await;
    // Reconnecting after each event: every later one comes, in order, once.
    let mut seen = vec!["submitted".to_owned()];
    while seen.len() < 5 {
        let mut feed = Stream::open(api.get("/v1/events").header("last-event-id", &last)).await;
        let frame = feed.next_state().await.unwrap();
        seen.push(frame.name.unwrap());
        last = frame.id.unwrap();
    }
    assert_eq!(seen, ["submitted", "started", "retrying", "started", "done"]);
    api.stop().await;
}

async fn a_watcher_that_says_nothing_is_pinged(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.ping_every = Duration::from_millis(50)).await;
    let id = api.submit_job().await;
    let mut stream = Stream::open(api.watch_job(id, None)).await;
    while !stream.next().await.unwrap().comment {}
    assert!(stream.next().await.unwrap().comment);
    api.stop().await;
}

async fn watchers_are_limited_and_give_their_place_back(stack: Stack) {
    let api = Api::start_with(stack, |config| {
        config.http.max_watchers_per_principal = 2;
        config.http.ping_every = Duration::from_millis(50);
    })
    .await;
    let id = api.submit_job().await;
    let first = Stream::open(api.watch_job(id, None)).await;
    let _second = Stream::open(api.get("/v1/events")).await;
    let refused = api.watch_job(id, None).send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    let (status, kind, _) = problem(refused).await;
    assert_eq!((status, kind.as_str()), (429, "too-many-requests"));
    drop(first);
    testing::eventually(Duration::from_secs(10), "the place is free again", async || {
        api.watch_job(id, None).send().await.unwrap().status() == 200
    })
    .await;
    api.stop().await;
}

async fn watchers_leave_when_the_gateway_stops(stack: Stack) {
    let mut api = Api::start(stack).await;
    let id = api.submit_job().await;
    let mut one = Stream::open(api.watch_job(id, None)).await;
    let mut all = Stream::open(api.get("/v1/events")).await;
    api.stop_gateway().await;
    while one.next().await.is_some() {}
    while all.next().await.is_some() {}
}

async fn a_gateway_that_is_told_to_stop_is_not_ready_and_serves_on_for_a_while(stack: Stack) {
    let mut api = Api::start_with(stack, |config| config.http.close_after = Some(Duration::from_secs(4))).await;
    let id = api.submit_job().await;
    let mut watched = Stream::open(api.watch_job(id, None)).await;
    let (stop, running) = api.gateway.take().expect("the gateway runs");
    stop.cancel();
    let ready = testing::eventually(Duration::from_secs(3), "it is not ready", async || {
        let answer = api.plain(reqwest::Method::GET, "/readyz").send().await.unwrap();
        if answer.status() == 503 { Ok(answer) } else { Err(answer.status().to_string()) }
    })
    .await;
    assert_eq!(crate::api::header(&ready, "connection").as_deref(), Some("close"));
    let told: serde_json::Value = ready.json().await.unwrap();
    assert_eq!((&told["ready"], &told["stopping"], &told["store"]), (&false.into(), &true.into(), &"ok".into()));
    let answer = api.submit(&serde_json::json!({"report": "numbers"})).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(crate::api::header(&answer, "connection").as_deref(), Some("close"), "the next request goes elsewhere");
    assert!(watched.next().await.is_some(), "watchers stay meanwhile");
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("stops in time").unwrap().unwrap();
    while watched.next().await.is_some() {}
}

async fn watchers_that_do_not_read_cost_bounded_memory(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let job = api.claim(id).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(api.watch_job(id, None).timeout(Duration::from_secs(280)).send().await.unwrap());
    }
    let mut reader = Stream::open(api.watch_job(id, None)).await;
    let before = resident_bytes();
    for rows in 0..20_000 {
        api.progress_of(id, job.attempt, rows);
        if rows % 500 == 0 {
            // The reader keeps up, so that the hub has handed on what came before. Those that come too fast are left out: when nothing
            // comes any more, the last is sent again.
            let last = 1_000_000 + rows;
            api.progress_of(id, job.attempt, last);
            loop {
                match tokio::time::timeout(Duration::from_millis(50), reader.next_event()).await {
                    Ok(event) if event.as_ref().unwrap().data.as_ref().unwrap()["data"]["progress"]["rows"] == last => {
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => api.progress_of(id, job.attempt, last),
                }
            }
        }
    }
    // Unbounded, these were 50 × 20,000 frames of about 400 bytes.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more");
    drop(silent);
}

/// Of this process, the gateway and its clients.
fn resident_bytes() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
