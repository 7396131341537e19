//! Quotas: what a tenant and a principal may use a day, refused with the limit's name, and shown.

use std::time::Duration;

use configuration::{Config, Quotas, Tenant};
use model::units::ByteSize;
use model::usage::Usage;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::Scope;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    a_tenant_has_its_jobs_of_the_day_and_then_hears_which_limit_it_is_and_when_it_ends,
    a_principal_has_a_quota_of_its_own,
    recipients_and_links_are_counted_and_too_many_at_once_are_never_allowed,
    rows_and_bytes_that_are_used_up_let_nothing_run,
    jobs_under_way_are_bounded_for_tenant_and_principal,
    two_gateways_that_are_asked_at_once_keep_a_quota,
    what_is_not_written_takes_nothing_out_of_a_quota,
    usage_is_shown_to_whom_it_belongs,
);

fn quotas(quotas: Quotas) -> impl FnOnce(&mut Config) {
    move |config| {
        let tenant = Tenant { brand: config.mail.brand.clone(), weight: 1, max_running: 0, quotas };
        config.tenants.insert("acme".to_owned(), tenant);
    }
}

async fn submit(api: &Api, key: &str, body: Value) -> Response {
    api.plain(Method::POST, "/v1/jobs").bearer_auth(key).json(&body).send().await.unwrap()
}

async fn made(api: &Api, key: &str) -> Uuid {
    let answer = submit(api, key, json!({"report": "numbers"})).await;
    assert_eq!(answer.status(), 202);
    id_of(&body(answer).await)
}

/// Submits what must be refused, and returns status, kind and limit.
async fn refused(api: &Api, key: &str, asked: Value) -> (u16, String, Value) {
    let (status, kind, said) = problem(submit(api, key, asked).await).await;
    (status, kind, said["limit"].clone())
}

fn numbers() -> Value {
    json!({"report": "numbers"})
}

async fn a_tenant_has_its_jobs_of_the_day_and_then_hears_which_limit_it_is_and_when_it_ends(stack: Stack) {
    let api = Api::start_with(stack, quotas(Quotas { jobs_per_day: 3, ..Quotas::default() })).await;
    let ben = api.make_key(&caller("acme", "ben"), &Scope::ALL).await;
    let zoe = api.make_key(&caller("zenith", "zoe"), &Scope::ALL).await;
    for key in [&api.key, &ben, &ben] {
        made(&api, key).await;
    }
    let answer = submit(&api, &api.key, numbers()).await;
    let wait: i64 = header(&answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..=24 * 3600).contains(&wait), "{wait}");
    assert_eq!(header(&answer, "ratelimit-policy").unwrap(), "\"jobs_per_day\";q=3");
    let (status, kind, said) = problem(answer).await;
    assert_eq!((status, kind.as_str()), (429, "quota-exhausted"));
    let limit = &said["limit"];
    assert_eq!((&limit["name"], &limit["of"]), (&json!("jobs_per_day"), &json!("tenant")));
    assert_eq!((&limit["most"], &limit["used"]), (&json!(3), &json!(3)));
    let ends: chrono::DateTime<chrono::Utc> = limit["ends_at"].as_str().unwrap().parse().unwrap();
    let now = api.backends.store.now().await.unwrap();
    assert!((0..=24 * 3600).contains(&(ends - now).num_seconds()) && ends.timestamp() % 86_400 == 0, "{ends}");
    assert_eq!(refused(&api, &ben, numbers()).await.1, "quota-exhausted");
    made(&api, &zoe).await;
    api.stop().await;
}

async fn a_principal_has_a_quota_of_its_own(stack: Stack) {
    let api = Api::start_with(stack, quotas(Quotas { principal_jobs_per_day: 2, ..Quotas::default() })).await;
    let ben = api.make_key(&caller("acme", "ben"), &Scope::ALL).await;
    made(&api, &api.key).await;
    made(&api, &api.key).await;
    let (status, _, limit) = refused(&api, &api.key, numbers()).await;
    assert_eq!((status, &limit["name"], &limit["of"]), (429, &json!("principal_jobs_per_day"), &json!("principal")));
    made(&api, &ben).await;
    api.stop().await;
}

async fn recipients_and_links_are_counted_and_too_many_at_once_are_never_allowed(stack: Stack) {
    let limits = Quotas {
        recipients_per_job: 3,
        recipients_per_day: 4,
        links_per_day: 5,
        principal_links_per_day: 3,
        ..Quotas::default()
    };
    let api = Api::start_with(stack, quotas(limits)).await;
    let told = |recipients: usize, formats: &[&str]| {
        let notify: Vec<Value> =
            (0..recipients).map(|n| json!({"channel": "email", "to": format!("r{n}@example.com")})).collect();
        json!({"report": "numbers", "notify": notify, "formats": formats})
    };
    let (status, kind, limit) = refused(&api, &api.key, told(4, &["csv"])).await;
    assert_eq!((status, kind.as_str(), &limit["name"]), (403, "quota-exceeded", &json!("recipients_per_job")));
    assert_eq!(submit(&api, &api.key, told(3, &["csv"])).await.status(), 202);
    let (status, _, limit) = refused(&api, &api.key, told(2, &["csv"])).await;
    assert_eq!((status, &limit["name"], &limit["used"]), (429, &json!("recipients_per_day"), &json!(3)));
    assert_eq!(submit(&api, &api.key, told(1, &["csv"])).await.status(), 202);
    let (status, _, limit) = refused(&api, &api.key, told(0, &["csv", "jsonl"])).await;
    assert_eq!((status, &limit["name"], &limit["used"]), (429, &json!("principal_links_per_day"), &json!(2)));
    assert_eq!(submit(&api, &api.key, told(0, &["csv"])).await.status(), 202);
    api.stop().await;
}

async fn rows_and_bytes_that_are_used_up_let_nothing_run(stack: Stack) {
    let limits = Quotas { rows_per_day: 3, principal_bytes_per_day: ByteSize(1 << 20), ..Quotas::default() };
    let api = Api::start_with(stack, quotas(limits)).await;
    let (done, failed) = (api.submit_job().await, api.submit_job().await);
    api.fail(failed).await;
    made(&api, &api.key).await;
    api.finish(done, b"a\r\n1\r\n2\r\n3\r\n").await;
    testing::eventually(Duration::from_secs(5), "the rows to be counted", async || {
        let answer = submit(&api, &api.key, numbers()).await;
        if answer.status() == 202 {
            return None;
        }
        let (status, kind, said) = problem(answer).await;
        assert_eq!((status, kind.as_str(), &said["limit"]["name"]), (429, "quota-exhausted", &json!("rows_per_day")));
        Some(())
    })
    .await;
    for path in [format!("/v1/jobs/{failed}/replay"), format!("/v1/admin/dead-letters/{failed}/replay")] {
        let (status, kind, _) = problem(api.post(&path).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (429, "quota-exhausted"), "{path}");
    }
    let many = api.post("/v1/admin/dead-letters/replay").json(&json!({"jobs": [failed]}));
    assert_eq!(body(many.send().await.unwrap()).await["not_allowed"], json!([failed]));
    api.stop().await;
}

async fn jobs_under_way_are_bounded_for_tenant_and_principal(stack: Stack) {
    let limits = Quotas { unfinished_jobs: 3, principal_unfinished_jobs: 2, ..Quotas::default() };
    let api = Api::start_with(stack, quotas(limits)).await;
    let ben = api.make_key(&caller("acme", "ben"), &Scope::ALL).await;
    let first = made(&api, &api.key).await;
    made(&api, &api.key).await;
    let (status, kind, limit) = refused(&api, &api.key, numbers()).await;
    assert_eq!((status, kind.as_str()), (429, "too-many-requests"));
    assert_eq!((&limit["name"], &limit["most"]), (&json!("principal_unfinished_jobs"), &json!(2)));
    made(&api, &ben).await;
    let (status, _, limit) = refused(&api, &ben, numbers()).await;
    assert_eq!((status, &limit["name"], &limit["of"]), (429, &json!("unfinished_jobs"), &json!("tenant")));
    api.finish(first, b"a\r\n").await;
    testing::eventually(Duration::from_secs(10), "a place to be free", async || {
        (submit(&api, &api.key, numbers()).await.status() == 202).then_some(())
    })
    .await;
    api.stop().await;
}

async fn two_gateways_that_are_asked_at_once_keep_a_quota(stack: Stack) {
    let api = Api::start_with(stack, quotas(Quotas { jobs_per_day: 20, ..Quotas::default() })).await;
    let other = ::api::Application::build(&api.config, api.backends.clone()).await.unwrap();
    let urls = [api.url.clone(), format!("http://127.0.0.1:{}", other.port())];
    let stop = CancellationToken::new();
    let running = tokio::spawn(other.run_until_stopped(stop.clone()));
    let asked = (0..60).map(|number: usize| {
        let url = format!("{}/v1/jobs", urls[number % 2]);
        api.plain(Method::POST, &url).bearer_auth(&api.key).json(&numbers()).send()
    });
    let answers = futures_util::future::join_all(asked).await;
    let accepted = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 202).count();
    let refused = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 429).count();
    assert_eq!(accepted + refused, 60);
    // At most what both let in at the same moment is too much: close to the end each lets in one after the other.
    assert!((20..=22).contains(&accepted), "{accepted}");
    for url in &urls {
        let last = api.plain(Method::POST, &format!("{url}/v1/jobs")).bearer_auth(&api.key).json(&numbers());
        assert_eq!(last.send().await.unwrap().status(), 429);
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    api.stop().await;
}

async fn what_is_not_written_takes_nothing_out_of_a_quota(stack: Stack) {
    let api = Api::start_with(stack, quotas(Quotas { jobs_per_day: 2, ..Quotas::default() })).await;
    let keyed = |asked: Value| api.post("/v1/jobs").header("idempotency-key", "one").json(&asked).send();
    let first = id_of(&body(keyed(numbers()).await.unwrap()).await);
    for _ in 0..5 {
        assert_eq!(submit(&api, &api.key, json!({"report": "clawed"})).await.status(), 404);
        assert_eq!(keyed(json!({"report": "own"})).await.unwrap().status(), 422);
        assert_eq!(id_of(&body(keyed(numbers()).await.unwrap()).await), first);
    }
    made(&api, &api.key).await;
    assert_eq!(submit(&api, &api.key, numbers()).await.status(), 429);
    // What was accepted before is answered all the same.
    assert_eq!(id_of(&body(keyed(numbers()).await.unwrap()).await), first);
    api.stop().await;
}

async fn usage_is_shown_to_whom_it_belongs(stack: Stack) {
    let api = Api::start_with(stack, |config| {
        quotas(Quotas { jobs_per_day: 100, principal_jobs_per_day: 10, ..Quotas::default() })(config);
        config.service.time_zone = "Asia/Kathmandu".parse().unwrap();
    })
    .await;
    let ben = api.make_key(&caller("acme", "ben"), &[Scope::Read, Scope::Write]).await;
    let zoe = api.make_key(&caller("zenith", "zoe"), &Scope::ALL).await;
    let done = api.submit_job().await;
    api.finish(done, b"a\r\n1\r\n").await;
    let answer = submit(&api, &ben, json!({"report": "own"})).await;
    assert_eq!(answer.status(), 202);
    let usage = async |key: &str| {
        let answer = api.plain(Method::GET, "/v1/usage").bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        body(answer).await
    };
    let read = |value: &Value| serde_json::from_value::<Usage>(value.clone()).unwrap();
    let one = Usage { jobs: 1, rows: 3, bytes: 6, recipients: 0, links: 1 };
    let anas = usage(&api.key).await;
    assert_eq!(anas["time_zone"], "Asia/Kathmandu");
    let day = &anas["own"]["days"][0];
    assert_eq!((&day["day"], anas["own"]["days"].as_array().unwrap().len()), (&anas["day"], 30));
    assert_eq!(read(day), one);
    let limit = |of: &Value, name: &str| {
        let limits = of["limits"].as_array().unwrap();
        let limit = limits.iter().find(|limit| limit["name"] == name).unwrap();
        (limit["most"].clone(), limit["used"].clone())
    };
    assert_eq!(limit(&anas["own"], "principal_jobs_per_day"), (json!(10), json!(1)));
    assert_eq!(limit(&anas["own"], "principal_rows_per_day"), (Value::Null, json!(3)));
    assert_eq!(limit(&anas["tenant"], "jobs_per_day"), (json!(100), json!(2)));
    assert_eq!(limit(&anas["tenant"], "unfinished_jobs"), (json!(200_000), json!(1)));
    let names = |list: &Value| {
        let mut names: Vec<String> =
            list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&anas["tenant"]["principals"]), ["ana", "ben"]);
    assert_eq!(names(&anas["tenant"]["reports"]), ["numbers", "own"]);
    let bens = usage(&ben).await;
    assert!(bens.get("tenant").is_none(), "{bens}");
    assert_eq!(read(&bens["own"]["days"][0]), Usage { jobs: 1, links: 1, ..Usage::default() });
    let zoes = usage(&zoe).await;
    assert_eq!((&zoes["tenant"]["principals"], read(&zoes["own"]["days"][0])), (&json!([]), Usage::default()));
    let writing = api.make_key(&ana(), &[Scope::Write]).await;
    let refused = api.plain(Method::GET, "/v1/usage").bearer_auth(&writing).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    api.stop().await;
}
