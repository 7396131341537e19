//! `POST /v1/jobs`.

use std::collections::BTreeSet;

use model::seal::SealedJob;
use reqwest::StatusCode;
use serde_json::{Value, json};
use store::Scope;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem, steady};

on_both_stacks!(
    a_submit_is_answered_with_the_job_and_where_to_find_it,
    a_submit_says_everything_that_is_wrong_at_once,
    an_unknown_report_is_named_as_such,
    a_body_that_is_not_json_is_refused_with_line_and_column,
    a_body_of_ten_megabytes_is_refused_and_the_connection_lives,
    a_body_that_is_not_declared_as_json_is_refused,
    the_same_key_and_body_give_the_same_answer_to_the_byte,
    the_same_key_with_another_body_is_refused,
    a_repeat_is_answered_the_same_though_its_report_changed_or_went_and_the_limit_is_reached,
    another_principal_may_use_the_same_key,
    fifty_concurrent_submits_with_one_key_make_one_job,
    a_malformed_key_is_refused,
    a_tenant_with_too_many_unfinished_jobs_waits_until_one_has_finished,
    a_tenant_that_submits_too_fast_is_told_when_to_come_back,
    the_trace_of_the_request_is_stored_with_the_job,
    a_recipient_is_written_to_as_asked_else_in_the_language_of_the_request,
    a_language_or_time_zone_that_nobody_knows_is_refused,
);

async fn a_recipient_is_written_to_as_asked_else_in_the_language_of_the_request(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers", "notify": [
        {"channel": "email", "to": "ana@example.com"},
        {"channel": "email", "to": "bob@example.com", "language": "de-AT", "time_zone": "Europe/Vienna"},
    ]});
    let request = api.post("/v1/jobs").header("accept-language", "it, fr-CH;q=0.9, en;q=0.5").json(&asked);
    let kept = api.job(id_of(&body(request.send().await.unwrap()).await)).await.notify;
    assert_eq!((kept[0].language.as_deref(), kept[0].time_zone.as_deref()), (Some("fr"), None));
    assert_eq!((kept[1].language.as_deref(), kept[1].time_zone.as_deref()), (Some("de"), Some("Europe/Vienna")));
    let kept = api.job(id_of(&body(api.submit(&asked).await).await)).await.notify;
    assert_eq!((kept[0].language.as_deref(), kept[1].language.as_deref()), (None, Some("de")));
    api.stop().await;
}

async fn a_language_or_time_zone_that_nobody_knows_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers", "notify": [
        {"channel": "email", "to": "ana@example.com", "language": "tlh", "time_zone": "Mars/Olympus"},
        {"channel": "email", "to": "bob@example.com", "language": 7, "time_zone": null},
    ]});
    let (status, _, said) = problem(api.submit(&asked).await).await;
    let pointers: Vec<&str> =
        said["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!((status, pointers), (422, vec!["/notify/0/language", "/notify/0/time_zone", "/notify/1/language"]));
    api.stop().await;
}

async fn a_submit_is_answered_with_the_job_and_where_to_find_it(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({
        "report": "numbers", "params": {"amount": 7, "secret": "hush"}, "formats": ["jsonl", "csv"],
        "notify": [{"channel": "email", "to": "ana@example.com"}],
    });
    let answer = api.submit(&asked).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let (location, retry) = (header(&answer, "location").unwrap(), header(&answer, "retry-after").unwrap());
    assert_eq!(header(&answer, "idempotent-replayed"), None);
    let job = body(answer).await;
    assert_eq!(location, format!("{}/v1/jobs/{}", api.url, id_of(&job)));
    assert_eq!(retry.parse::<u32>().unwrap(), 1);
    insta::assert_json_snapshot!("submitted_job", steady(&api, job.clone()));
    assert_eq!(api.read(id_of(&job)).await, job);
    let kept = api.job(id_of(&job)).await;
    assert_eq!((kept.caller.clone(), kept.notify.len()), (ana(), 1));
    let keys = api.config.service.derive_seal_keys().unwrap();
    assert!(kept.params["secret"]["$sealed"].is_string(), "{:?}", kept.params);
    assert_eq!(keys.open(SealedJob::from(&kept), &kept.params).unwrap()["secret"], "hush");
    api.stop().await;
}

async fn a_submit_says_everything_that_is_wrong_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let many: Vec<_> = (0..21).map(|n| json!({"channel": "email", "to": format!("a{n}@example.com")})).collect();
    let wrong = [
        json!({}),
        json!({"report": 7, "formats": "csv", "params": [], "notify": {}}),
        json!({"report": "numbers", "again": {"max_age": 60}, "a/b~c": 1}),
        json!({"report": "numbers", "params": {"day": "31.1.2026", "amount": 101, "secret": "x".repeat(41), "tenant": "other"}}),
        json!({"report": "numbers", "params": {"amount": "seven", "nonsense": true}}),
        json!({"report": "numbers", "params": {"secret": "a\u{0}b"}}),
        json!({"report": "strict"}),
        json!({"report": "strict", "params": {"choice": "c", "many": ["1.5", "x"]}}),
        json!({"report": "strict", "params": {"choice": "a", "many": ["1", "2", "3"]}, "formats": ["jsonl"]}),
        json!({"report": "numbers", "formats": []}),
        json!({"report": "numbers", "formats": ["csv", "csv"]}),
        json!({"report": "numbers", "formats": ["docx", 3]}),
        json!({"report": "numbers", "notify": [
            {"channel": "email", "to": "ana@example.com\r\nBcc: eve@example.com"},
            {"channel": "pigeon", "to": "ana@example.com", "urgent": true},
            {"channel": "email"}, "ana@example.com",
            {"channel": "email", "to": "eve@example.com"}, {"channel": "email", "to": "EVE@example.com"},
        ]}),
        json!({"report": "numbers", "notify": many}),
    ];
    let mut said = Vec::new();
    for body in wrong {
        let (status, kind, problem) = problem(api.submit(&body).await).await;
        assert_eq!((status, kind.as_str()), (422, "validation-failed"), "{body}");
        said.push(json!({"detail": problem["detail"], "errors": problem["errors"]}));
    }
    insta::assert_json_snapshot!("invalid_submits", said);
    let jobs = body(api.get("/v1/jobs").send().await.unwrap()).await;
    assert_eq!(jobs["jobs"], json!([]));
    api.stop().await;
}

async fn an_unknown_report_is_named_as_such(stack: Stack) {
    let api = Api::start(stack).await;
    let (status, kind, problem) = problem(api.submit(&json!({"report": "nothing", "formats": 3})).await).await;
    assert_eq!((status, kind.as_str()), (404, "report-not-found"));
    assert_eq!(problem["errors"][0]["pointer"], "/report");
    assert_eq!(problem["errors"][1]["pointer"], "/formats");
    api.stop().await;
}

async fn a_body_that_is_not_json_is_refused_with_line_and_column(stack: Stack) {
    let api = Api::start(stack).await;
    let send = |text: &'static str| api.post("/v1/jobs").header("content-type", "application/json").body(text).send();
    let (status, kind, said) = problem(send("{\"report\": \"numbers\",\n  \"params\": }").await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (400, "invalid-body"));
    assert!(said["detail"].as_str().unwrap().contains("line 2 column 13"), "{said}");
    for text in ["", "[]", "7", "{\"report\": \"numbers\"} x", "{\"report\": \"\u{1}\"}"] {
        let (status, kind, _) = problem(send(text).await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-body"), "{text:?}");
    }
    let deep = Box::leak(format!("{}{}", "[".repeat(5000), "]".repeat(5000)).into_boxed_str());
    assert_eq!(problem(send(deep).await.unwrap()).await.1, "invalid-body");
    api.stop().await;
}

async fn a_body_of_ten_megabytes_is_refused_and_the_connection_lives(stack: Stack) {
    let api = Api::start(stack).await;
    let large = format!("{{\"report\": \"{}\"}}", "x".repeat(10 << 20));
    let request = api.post("/v1/jobs").header("content-type", "application/json").body(large);
    let (status, kind, _) = problem(request.send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (413, "body-too-large"));
    api.submit_job().await;
    api.stop().await;
}

async fn a_body_that_is_not_declared_as_json_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    for media in
        ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded", "application/jsonp"]
    {
        let request = api.post("/v1/jobs").header("content-type", media).body("{\"report\": \"numbers\"}");
        let (status, kind, _) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (415, "unsupported-media-type"), "{media}");
    }
    let request = api.post("/v1/jobs").header("content-type", "Application/JSON; charset=UTF-8");
    assert_eq!(request.body("{\"report\": \"numbers\"}").send().await.unwrap().status(), 202);
    api.stop().await;
}

async fn the_same_key_and_body_give_the_same_answer_to_the_byte(stack: Stack) {
    let mut api = Api::start_with(stack, |config| config.service.public_url = Some("https://r.example".into())).await;
    let send = async |api: &Api, text: &'static str| {
        let request = api.post("/v1/jobs").header("idempotency-key", "order-66");
        let answer = request.header("content-type", "application/json").body(text).send().await.unwrap();
        let replayed = header(&answer, "idempotent-replayed");
        let heads = (answer.status(), header(&answer, "location"), header(&answer, "retry-after"));
        (heads, replayed, answer.bytes().await.unwrap())
    };
    let text = "{\"report\": \"numbers\", \"params\": {\"amount\": 1}}";
    let (first_heads, first_replayed, first) = send(&api, text).await;
    assert_eq!((first_heads.0, first_replayed), (StatusCode::ACCEPTED, None));
    let id = id_of(&serde_json::from_slice::<Value>(&first).unwrap());
    let (heads, replayed, again) = send(&api, text).await;
    assert_eq!((&heads, replayed.as_deref(), &again), (&first_heads, Some("true"), &first));

    // Whatever has become of the job, also after a restart, and whatever the order of the fields.
    api.finish(id, b"a\r\n1\r\n").await;
    api.restart_gateway().await;
    let (heads, replayed, again) = send(&api, "{\"params\":{\"amount\":1},\"report\":\"numbers\"}").await;
    assert_eq!((&heads, replayed.as_deref(), &again), (&first_heads, Some("true"), &first));
    api.stop().await;
}

async fn a_repeat_is_answered_the_same_though_its_report_changed_or_went_and_the_limit_is_reached(stack: Stack) {
    let mut api = Api::start_with(stack, |config| {
        config.service.public_url = Some("https://r.example".into());
        config.http.max_unfinished_jobs = 1;
    })
    .await;
    let send = async |api: &Api, amount: u32| {
        let body = json!({"report": "numbers", "params": {"amount": amount, "secret": "hush"}});
        let request = api.post("/v1/jobs").header("idempotency-key", "k").json(&body);
        request.send().await.unwrap()
    };
    let new = async |api: &Api| problem(api.submit(&json!({"report": "numbers", "params": {"amount": 1}})).await).await;
    let first = send(&api, 7).await;
    assert_eq!(first.status(), 202);
    let first = first.bytes().await.unwrap();
    assert!(!String::from_utf8_lossy(&first).contains("hush"));
    let same = async |api: &Api| {
        let again = send(api, 7).await;
        assert_eq!(
            (again.status(), header(&again, "idempotent-replayed").as_deref()),
            (StatusCode::ACCEPTED, Some("true"))
        );
        assert_eq!(again.bytes().await.unwrap(), first);
        let (status, kind, _) = problem(send(api, 8).await).await;
        assert_eq!((status, kind.as_str()), (422, "idempotency-key-reused"));
    };
    assert_eq!(new(&api).await.0, 429, "the limit is reached");
    same(&api).await;

    let file = api.config.catalogue.folder.clone().unwrap().join("numbers.toml");
    // Neither is its amount allowed any more nor its secret one.
    std::fs::write(&file, crate::api::REPORT.replace("max = 100", "max = 2").replace("sensitive = true", "")).unwrap();
    api.restart_gateway().await;
    assert_eq!(problem(api.submit(&json!({"report": "numbers", "params": {"amount": 7}})).await).await.0, 422);
    same(&api).await;

    std::fs::remove_file(&file).unwrap();
    api.restart_gateway().await;
    assert_eq!(new(&api).await.0, 404);
    same(&api).await;
    api.stop().await;
}

async fn the_same_key_with_another_body_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    let send = |amount: u32| {
        let body = json!({"report": "numbers", "params": {"amount": amount}});
        api.post("/v1/jobs").header("idempotency-key", "k").json(&body).send()
    };
    assert_eq!(send(1).await.unwrap().status(), 202);
    let (status, kind, _) = problem(send(2).await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (422, "idempotency-key-reused"));
    api.stop().await;
}

async fn another_principal_may_use_the_same_key(stack: Stack) {
    let api = Api::start(stack).await;
    let mut ids = BTreeSet::new();
    for who in [ana(), caller("acme", "ben"), caller("other", "ana")] {
        let key = api.make_key(&who, &[Scope::Write]).await;
        let request = api.plain(reqwest::Method::POST, "/v1/jobs").bearer_auth(key).header("idempotency-key", "k");
        ids.insert(id_of(&body(request.json(&json!({"report": "numbers"})).send().await.unwrap()).await));
    }
    assert_eq!(ids.len(), 3);
    api.stop().await;
}

async fn fifty_concurrent_submits_with_one_key_make_one_job(stack: Stack) {
    let api = Api::start(stack).await;
    let submits = (0..50).map(|_| {
        let request = api.post("/v1/jobs").header("idempotency-key", "once").json(&json!({"report": "numbers"}));
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 202);
            (header(&answer, "idempotent-replayed"), answer.text().await.unwrap())
        }
    });
    let answers = futures_util::future::join_all(submits).await;
    let bodies: BTreeSet<_> = answers.iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(answers.iter().filter(|(replayed, _)| replayed.is_none()).count(), 1);
    let jobs = body(api.get("/v1/jobs").send().await.unwrap()).await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    api.stop().await;
}

async fn a_malformed_key_is_refused(stack: Stack) {
    let api = Api::start(stack).await;
    let long = "k".repeat(256);
    for bad in ["", "two words", "tab\tkey", "\u{e9}", long.as_str()] {
        let value = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let request = api.post("/v1/jobs").header("idempotency-key", value).json(&json!({"report": "numbers"}));
        let (status, kind, _) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-idempotency-key"), "{bad:?}");
    }
    let twice = api.post("/v1/jobs").header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(
        problem(twice.json(&json!({"report": "numbers"})).send().await.unwrap()).await.1,
        "invalid-idempotency-key"
    );
    let request = api.post("/v1/jobs").header("idempotency-key", "k".repeat(255)).json(&json!({"report": "numbers"}));
    assert_eq!(request.send().await.unwrap().status(), 202);
    api.stop().await;
}

async fn a_tenant_with_too_many_unfinished_jobs_waits_until_one_has_finished(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.max_unfinished_jobs = 2).await;
    let first = api.submit_job().await;
    api.submit_job().await;
    let answer = api.submit(&json!({"report": "numbers"})).await;
    assert!(header(&answer, "retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(header(&answer, "ratelimit-policy").unwrap(), "\"unfinished-jobs\";q=2");
    assert_eq!(problem(answer).await.1, "too-many-requests");
    let other = api.make_key(&caller("other", "eve"), &[Scope::Write]).await;
    api.submit_as(&other).await;
    api.finish(first, b"").await;
    testing::eventually(std::time::Duration::from_secs(5), "a place is free again", async || {
        api.submit(&json!({"report": "numbers"})).await.status() == 202
    })
    .await;
    api.stop().await;
}

async fn a_tenant_that_submits_too_fast_is_told_when_to_come_back(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.submits_per_second = 1).await;
    let mut accepted = 0;
    let refused = loop {
        let answer = api.submit(&json!({"report": "numbers"})).await;
        assert_eq!(header(&answer, "ratelimit-policy").unwrap(), "\"submits\";q=10;w=10");
        assert!(header(&answer, "ratelimit").unwrap().starts_with("\"submits\";r="));
        if answer.status() != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 100, "no limit");
    };
    assert!(accepted >= 10);
    assert_eq!(header(&refused, "retry-after").unwrap(), "1");
    let (status, kind, _) = problem(refused).await;
    assert_eq!((status, kind.as_str()), (429, "too-many-requests"));
    api.stop().await;
}

async fn the_trace_of_the_request_is_stored_with_the_job(stack: Stack) {
    let api = Api::start(stack).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = api.post("/v1/jobs").header("traceparent", trace).json(&json!({"report": "numbers"}));
    let id = id_of(&body(request.send().await.unwrap()).await);
    assert_eq!(api.job(id).await.traceparent.as_deref(), Some(trace));
    let request = api.post("/v1/jobs").header("traceparent", "nonsense").json(&json!({"report": "numbers"}));
    let id = id_of(&body(request.send().await.unwrap()).await);
    let made = api.job(id).await.traceparent.unwrap();
    assert!(made.parse::<model::trace::TraceContext>().is_ok(), "{made}");
    api.stop().await;
}
