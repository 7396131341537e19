//! `/v1/admin`.

use model::pause::{PauseKind, PauseTarget};
use serde_json::json;
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, id_of, on_both_stacks, problem};

on_both_stacks!(
    an_operator_sees_and_replays_the_dead_letters_of_the_whole_tenant,
    many_dead_letters_are_replayed_at_once,
    no_report_is_run_again_in_the_name_of_somebody_who_may_not_any_more,
    a_replay_of_many_says_what_is_wrong_with_its_body,
    queues_workers_and_deliveries_are_listed,
    an_autoscaler_is_told_how_much_there_is_to_do_by_a_key_that_opens_nothing_else,
    failed_deliveries_are_sent_again_one_or_all_since_a_time,
    a_wish_to_send_again_that_makes_no_sense_is_explained,
    pauses_are_listed_to_the_tenants_that_they_hold,
);

async fn an_operator_sees_and_replays_the_dead_letters_of_the_whole_tenant(stack: Stack) {
    let api = Api::start(stack).await;
    let ben = api.make_key(&caller("acme", "ben"), &[Scope::Write]).await;
    let (own, bens, fine) = (api.submit_job().await, api.submit_as(&ben).await, api.submit_job().await);
    api.fail(own).await;
    api.fail(bens).await;
    let list = async || -> Vec<Uuid> {
        let page = body(api.get("/v1/admin/dead-letters").send().await.unwrap()).await;
        page["jobs"].as_array().unwrap().iter().map(id_of).collect()
    };
    assert_eq!(list().await, [bens, own]);
    let replay = |id: Uuid| api.post(&format!("/v1/admin/dead-letters/{id}/replay")).send();
    let answer = replay(bens).await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(body(answer).await["state"], "pending");
    assert_eq!(problem(replay(fine).await.unwrap()).await.1, "wrong-state");
    assert_eq!(problem(replay(Uuid::now_v7()).await.unwrap()).await.1, "job-not-found");
    assert_eq!(list().await, [own]);
    let (status, kind, _) = problem(api.get("/v1/admin/dead-letters?state=done").send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (400, "invalid-query"));
    api.stop().await;
}

async fn many_dead_letters_are_replayed_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let (one, two, fine, nobodys) =
        (api.submit_job().await, api.submit_job().await, api.submit_job().await, Uuid::now_v7());
    api.fail(one).await;
    api.fail(two).await;
    let asked = json!({"jobs": [one, two, fine, nobodys]});
    let answer = api.post("/v1/admin/dead-letters/replay").json(&asked).send().await.unwrap();
    let outcome = body(answer).await;
    assert_eq!(
        outcome,
        json!({"replayed": [one, two], "wrong_state": [fine], "not_found": [nobodys], "not_allowed": []})
    );
    api.stop().await;
}

async fn a_replay_of_many_says_what_is_wrong_with_its_body(stack: Stack) {
    let api = Api::start(stack).await;
    for (asked, pointer) in [
        (json!({}), "/jobs"),
        (json!({"jobs": []}), "/jobs"),
        (json!({"jobs": ["x"]}), "/jobs/0"),
        (json!({"jobs": [Uuid::nil()], "rate": 1}), "/rate"),
        (json!({"jobs": vec![Uuid::nil(); 101]}), "/jobs"),
    ] {
        let answer = api.post("/v1/admin/dead-letters/replay").json(&asked).send().await.unwrap();
        let (status, kind, said) = problem(answer).await;
        assert_eq!(
            (status, kind.as_str(), said["errors"][0]["pointer"].as_str()),
            (422, "validation-failed", Some(pointer))
        );
    }
    api.stop().await;
}

async fn queues_workers_and_deliveries_are_listed(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers", "notify": [{"channel": "email", "to": "ana@example.com"}]});
    let id = id_of(&body(api.submit(&asked).await).await);
    api.finish(id, b"x").await;
    let queues = body(api.get("/v1/admin/queues").send().await.unwrap()).await;
    let names: Vec<_> =
        queues["queues"].as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "waitless.work.interactive.v1",
            "waitless.work.bulk.v1",
            "waitless.notify.email.v1",
            "waitless.notify.webhook.v1",
            "waitless.dead.v1"
        ]
    );
    let workers = body(api.get("/v1/admin/workers").send().await.unwrap()).await;
    assert_eq!((&workers["workers"][0]["host"], &workers["workers"][0]["running"]), (&json!("test"), &json!(0)));
    let deliveries = body(api.get("/v1/admin/deliveries?state=pending").send().await.unwrap()).await;
    let first = &deliveries["deliveries"][0];
    assert_eq!((&first["to"], &first["job_id"]), (&json!("ana@example.com"), &json!(id)));
    assert_eq!(body(api.get("/v1/admin/deliveries?state=sent").send().await.unwrap()).await, json!({"deliveries": []}));
    let other = id_of(&body(api.submit(&json!({"report": "numbers"})).await).await);
    let of_job = async |query: String| {
        let found = body(api.get(&format!("/v1/admin/deliveries?{query}")).send().await.unwrap()).await;
        found["deliveries"].as_array().unwrap().len()
    };
    assert_eq!(of_job(format!("job={id}")).await, 1);
    assert_eq!((of_job(format!("job={id}&state=failed")).await, of_job(format!("job={other}")).await), (0, 0));
    let answer = api.get(&format!("/v1/admin/deliveries?job={}", Uuid::now_v7())).send().await.unwrap();
    assert_eq!(problem(answer).await.1, "job-not-found");
    for query in ["state=lost", "limit=0", "limit=1000", "tenant=other", "job=x"] {
        let answer = api.get(&format!("/v1/admin/deliveries?{query}")).send().await.unwrap();
        assert_eq!(problem(answer).await.1, "invalid-query", "{query}");
    }
    api.stop().await;
}

async fn an_autoscaler_is_told_how_much_there_is_to_do_by_a_key_that_opens_nothing_else(stack: Stack) {
    let api = Api::start(stack).await;
    let key = api.make_key(&caller("operations", "autoscaler"), &[Scope::Backlog]).await;
    let asked = json!({"report": "numbers", "notify": [{"channel": "email", "to": "ana@example.com"}]});
    let id = id_of(&body(api.submit(&asked).await).await);
    api.submit_job().await;
    api.finish(id, b"x").await;
    let ask = |path: &'static str| api.plain(reqwest::Method::GET, path).bearer_auth(&key).send();
    let told = body(ask("/v1/admin/backlog").await.unwrap()).await;
    assert_eq!(told["lanes"]["interactive"], json!({"depth": 1, "ready": 1, "running": 0, "handed_off": 0}), "{told}");
    assert_eq!((&told["lanes"]["bulk"]["depth"], &told["deliveries"]), (&json!(0), &json!(1)));
    // What KEDA is told to look for is there.
    for file in ["report-worker-interactive", "report-worker-bulk", "notifier"] {
        let path = format!("{}/../deploy/k8s/components/autoscaling/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        assert!(value("url: ").ends_with("/v1/admin/backlog"));
        let place = format!("/{}", value("valueLocation: ").replace('.', "/"));
        assert!(told.pointer(&place).is_some_and(serde_json::Value::is_u64), "{place} of {told}");
    }
    for closed in ["/v1/admin/queues", "/v1/admin/workers", "/v1/jobs", "/v1/reports"] {
        assert_eq!(problem(ask(closed).await.unwrap()).await.1, "forbidden", "{closed}");
    }
    api.stop().await;
}

async fn failed_deliveries_are_sent_again_one_or_all_since_a_time(stack: Stack) {
    let api = Api::start(stack).await;
    let before = api.backends.store.now().await.unwrap();
    let asked = json!({"report": "numbers", "notify": [{"channel": "email", "to": "ana@example.com"}]});
    let mut failed = Vec::new();
    for _ in 0..3 {
        let id = id_of(&body(api.submit(&asked).await).await);
        api.finish(id, b"x").await;
        let delivery = api.backends.store.deliveries_of_job(id).await.unwrap().remove(0).id;
        let lease = std::time::Duration::from_secs(60);
        let claimed = api.backends.store.claim_deliveries(vec![delivery], lease).await.unwrap();
        assert!(claimed[0].is_some());
        let ending = store::DeliveryEnding::Failed("550 over quota".to_owned());
        assert_eq!(api.backends.store.settle_deliveries(vec![(delivery, 1, ending)]).await.unwrap(), [true]);
        failed.push(delivery);
    }
    let unknown = Uuid::now_v7();
    let send = async |asked: serde_json::Value| {
        body(api.post("/v1/admin/deliveries/send-again").json(&asked).send().await.unwrap()).await
    };
    let named = send(json!({"deliveries": [failed[0], unknown]})).await;
    assert_eq!(named, json!({"sent_again": 1, "not_failed": [unknown]}));
    let future = before + chrono::TimeDelta::hours(1);
    assert_eq!(send(json!({"failed_since": future})).await, json!({"sent_again": 0, "not_failed": []}));
    assert_eq!(send(json!({"failed_since": before})).await, json!({"sent_again": 2, "not_failed": []}));
    let left = body(api.get("/v1/admin/deliveries?state=failed").send().await.unwrap()).await;
    assert_eq!(left, json!({"deliveries": []}));
    api.stop().await;
}

async fn a_wish_to_send_again_that_makes_no_sense_is_explained(stack: Stack) {
    let api = Api::start(stack).await;
    for (asked, pointer) in [
        (json!({}), ""),
        (json!({"deliveries": [Uuid::nil()], "failed_since": "2026-01-31T12:00:00Z"}), ""),
        (json!({"deliveries": []}), "/deliveries"),
        (json!({"deliveries": ["x"]}), "/deliveries/0"),
        (json!({"failed_since": "yesterday"}), "/failed_since"),
        (json!({"failed_since": "2026-01-31T12:00:00Z", "rate": 1}), "/rate"),
    ] {
        let answer = api.post("/v1/admin/deliveries/send-again").json(&asked).send().await.unwrap();
        let (status, kind, said) = problem(answer).await;
        assert_eq!(
            (status, kind.as_str(), said["errors"][0]["pointer"].as_str()),
            (422, "validation-failed", Some(pointer))
        );
    }
    api.stop().await;
}

async fn no_report_is_run_again_in_the_name_of_somebody_who_may_not_any_more(stack: Stack) {
    let api = Api::start(stack).await;
    let (ben, id) = api.make_key_for(&caller("acme", "ben"), &[Scope::Write], None).await;
    let bens = api.submit_as(&ben).await;
    api.fail(bens).await;
    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    let one = api.post(&format!("/v1/admin/dead-letters/{bens}/replay")).send().await.unwrap();
    let (status, kind, said) = problem(one).await;
    assert_eq!((status, kind.as_str()), (403, "forbidden"));
    assert!(said["detail"].as_str().unwrap().contains("may not run reports any more"), "{said}");
    let many = api.post("/v1/admin/dead-letters/replay").json(&json!({"jobs": [bens]})).send().await.unwrap();
    assert_eq!(body(many).await["not_allowed"], json!([bens]));
    assert_eq!(api.job(bens).await.state, model::job::JobState::Failed);
    let new = api.make_key(&caller("acme", "ben"), &[Scope::Write]).await;
    assert!(!new.is_empty());
    let one = api.post(&format!("/v1/admin/dead-letters/{bens}/replay")).send().await.unwrap();
    assert_eq!(one.status(), 202, "with a new key of theirs it is run again");
    api.stop().await;
}

async fn pauses_are_listed_to_the_tenants_that_they_hold(stack: Stack) {
    let api = Api::start(stack).await;
    let store = &api.backends.store;
    for (tenant, kind, name) in [
        (None, PauseKind::Source, "erp"),
        (None, PauseKind::Tenant, "acme"),
        (None, PauseKind::Tenant, "another"),
        (Some("another"), PauseKind::Report, "sales"),
        (Some("acme"), PauseKind::Report, "sales"),
    ] {
        store.pause(&PauseTarget::new(tenant, kind, name), "ana").await.unwrap();
    }
    let told = body(api.get("/v1/admin/pauses").send().await.unwrap()).await;
    let told: Vec<_> = told["pauses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pause| {
            (pause["kind"].clone(), pause["name"].clone(), pause["everybody"].clone(), pause["paused_by"].clone())
        })
        .collect();
    let expected = [
        (json!("report"), json!("sales"), json!(false), json!("ana")),
        (json!("source"), json!("erp"), json!(true), json!(null)),
        (json!("tenant"), json!("acme"), json!(true), json!(null)),
    ];
    assert_eq!(told, expected);
    api.stop().await;
}
