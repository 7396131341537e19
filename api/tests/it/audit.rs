//! The audit log, as an operator reads it: what was done through the API is there, with who and from where.

use model::audit::{AuditEntry, ChainEnd, ChainWalk, KeptPerson, Person};
use reqwest::Method;
use serde_json::json;
use store::Scope;
use store::audit::LINKED_AT_ONCE;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    whatever_somebody_does_is_in_the_audit_log_with_who_and_from_where,
    a_trusted_proxy_says_from_where_and_nobody_else_does,
    refused_credentials_are_counted_and_told_in_one_entry,
    the_audit_log_is_read_page_by_page_and_only_by_operators_of_its_tenant,
);

async fn link(api: &Api) {
    while api.backends.store.link_audit(LINKED_AT_ONCE).await.unwrap() > 0 {}
}

/// Reads the whole log of the tenant through the API, page by page, and walks along it.
async fn read(api: &Api, limit: u32) -> Vec<AuditEntry> {
    let (mut rows, mut walk) = (Vec::new(), ChainWalk::behind("acme", ChainEnd::START));
    let mut url = format!("/v1/admin/audit?limit={limit}");
    loop {
        link(api).await;
        let answer = api.get(&url).header("user-agent", "reader").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "content-type").unwrap(), "application/jsonl");
        let next = header(&answer, "link").map(|link| link[1..link.find('>').unwrap()].to_owned());
        let text = answer.text().await.unwrap();
        let page: Vec<AuditEntry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        page.iter().try_for_each(|row| walk.take(row)).unwrap();
        rows.extend(page);
        let Some(next) = next else { return rows };
        url = next;
    }
}

fn person(kept: Option<&KeptPerson>) -> Person {
    serde_json::from_str(&kept.unwrap().text).unwrap()
}

async fn whatever_somebody_does_is_in_the_audit_log_with_who_and_from_where(stack: Stack) {
    let api = Api::start(stack).await;
    let post = |path: &str| api.post(path).header("user-agent", "test/1");
    let asked = json!({"report": "numbers"});
    let id = id_of(&body(post("/v1/jobs").json(&asked).send().await.unwrap()).await);
    let job = api.finish(id, b"a,b\r\n").await;
    let file = format!("/v1/jobs/{id}/artifacts/csv");
    assert_eq!(api.get(&file).send().await.unwrap().status(), 200);
    assert_eq!(api.get(&file).header("range", "bytes=2-").send().await.unwrap().status(), 206);
    let token = job.artifacts[0].link_token(api.config.service.link_secret.all());
    assert_eq!(api.plain(Method::GET, &format!("/d/{token}")).send().await.unwrap().status(), 200);
    post(&format!("{file}/revoke-link")).send().await.unwrap();
    let failed = id_of(&body(post("/v1/jobs").json(&asked).send().await.unwrap()).await);
    api.fail(failed).await;
    assert_eq!(post(&format!("/v1/jobs/{failed}/replay")).send().await.unwrap().status(), 202);
    assert_eq!(post(&format!("/v1/jobs/{failed}/cancel")).send().await.unwrap().status(), 200);
    let minted = body(post("/v1/tokens").json(&json!({"principal": "customer-7"})).send().await.unwrap()).await;
    post("/v1/tokens/revoke").json(&json!({"principal": "customer-7"})).send().await.unwrap();
    let signing = api.plain(Method::POST, "/v1/session").header("origin", &api.url).json(&json!({"key": api.key}));
    let signed_in = signing.send().await.unwrap();
    let cookie = header(&signed_in, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let out = api.plain(Method::DELETE, "/v1/session").header("origin", &api.url).header("cookie", &cookie);
    assert_eq!(out.send().await.unwrap().status(), 204);
    post("/v1/admin/deliveries/send-again")
        .json(&json!({"failed_since": "2026-01-31T12:00:00Z"}))
        .send()
        .await
        .unwrap();

    let rows = read(&api, 100).await;
    let artifact = format!("artifact:{}", job.artifacts[0].id);
    let (first, second) = (format!("job:{id}"), format!("job:{failed}"));
    let token = format!("token:{}", minted["id"].as_str().unwrap());
    let said: Vec<(&str, &str)> = rows.iter().map(|row| (row.act.as_str(), row.subject.as_str())).collect();
    assert_eq!(
        said[..8],
        [
            ("job_submitted", first.as_str()),
            ("file_fetched", &artifact),
            ("link_followed", &artifact),
            ("link_revoked", &artifact),
            ("job_submitted", &second),
            ("job_replayed", &second),
            ("job_cancelled", &second),
            ("token_minted", &token),
        ]
    );
    let rest: Vec<&str> = said[8..].iter().map(|(act, _)| *act).collect();
    assert_eq!(rest[..4], ["token_revoked", "sign_in", "sign_out", "deliveries_sent_again"]);
    assert!(rest[4..].iter().all(|act| *act == "audit_read"), "{rest:?}");
    let submit = person(rows[0].who.as_ref());
    assert_eq!((submit.principal.as_deref(), submit.address.as_deref()), (Some("ana"), Some("127.0.0.1")));
    assert_eq!(submit.agent.as_deref(), Some("test/1"));
    assert_eq!((rows[0].detail.as_str(), rows[0].outcome.as_str(), &rows[0].about), ("numbers", "ok", &None));
    assert_eq!(person(rows[2].who.as_ref()).principal, None, "nobody is known who opens a link");
    assert_eq!(person(rows[7].about.as_ref()).principal.as_deref(), Some("customer-7"));
    api.stop().await;
}

async fn a_trusted_proxy_says_from_where_and_nobody_else_does(stack: Stack) {
    for (trusted, told, seen) in [
        (None, "203.0.113.9", "127.0.0.1"),
        (Some("127.0.0.0/8"), "203.0.113.9", "203.0.113.9"),
        (Some("127.0.0.0/8"), "198.51.100.1, 203.0.113.9, 127.0.0.2", "203.0.113.9"),
        (Some("127.0.0.0/8"), "203.0.113.9, rubbish", "127.0.0.1"),
    ] {
        let api = Api::start_with(stack, |config| {
            config.http.trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
        })
        .await;
        let request = api.post("/v1/jobs").header("x-forwarded-for", told).json(&json!({"report": "numbers"}));
        assert_eq!(request.send().await.unwrap().status(), 202);
        let who = person(read(&api, 100).await[0].who.as_ref());
        assert_eq!(who.address.as_deref(), Some(seen), "{told}");
        api.stop().await;
    }
}

async fn refused_credentials_are_counted_and_told_in_one_entry(stack: Stack) {
    let mut api = Api::start(stack).await;
    for _ in 0..20 {
        let request = api.plain(Method::GET, "/v1/jobs").bearer_auth(model::access::make_api_key());
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let signing = api.plain(Method::POST, "/v1/session").header("origin", &api.url);
    assert_eq!(signing.json(&json!({"key": "wl_guessed"})).send().await.unwrap().status(), 401);
    // Who sends none was not refused.
    assert_eq!(api.plain(Method::GET, "/v1/jobs").send().await.unwrap().status(), 401);
    api.stop_gateway().await;
    link(&api).await;
    let rows = api.backends.store.audit_entries("", 0, 10).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.act.as_str(), row.outcome.as_str(), row.count), ("credential_refused", "unauthorized", 21));
    assert_eq!(person(row.who.as_ref()).address.as_deref(), Some("127.0.0.1"));
}

async fn the_audit_log_is_read_page_by_page_and_only_by_operators_of_its_tenant(stack: Stack) {
    let api = Api::start(stack).await;
    for _ in 0..5 {
        api.submit_job().await;
    }
    let rows = read(&api, 2).await;
    assert_eq!(rows.iter().filter(|row| row.act == "job_submitted").count(), 5);
    let reader = api.make_key(&ana(), &[Scope::Read, Scope::Write]).await;
    let refused = api.plain(Method::GET, "/v1/admin/audit").bearer_auth(&reader).send().await.unwrap();
    assert_eq!(problem(refused).await.1, "forbidden");
    let other = api.make_key(&caller("globex", "eve"), &Scope::ALL).await;
    let foreign = api.plain(Method::GET, "/v1/admin/audit").bearer_auth(&other).send().await.unwrap();
    assert_eq!(foreign.status(), 200);
    let told = foreign.text().await.unwrap();
    assert!(!told.contains("acme") && !told.contains("job_submitted"), "{told}");
    let later = api.get("/v1/admin/audit?from=2099-01-01T00:00:00Z").send().await.unwrap();
    assert_eq!(later.text().await.unwrap(), "");
    let all = api.get("/v1/admin/audit?from=2026-01-01T00:00:00Z&limit=1").send().await.unwrap();
    let link = header(&all, "link").unwrap().to_owned();
    assert_eq!(all.text().await.unwrap().lines().count(), 1);
    let cursor = link.split("cursor=").nth(1).unwrap().split('&').next().unwrap();
    let taken = api.plain(Method::GET, &format!("/v1/admin/audit?cursor={cursor}")).bearer_auth(&other);
    assert_eq!(problem(taken.send().await.unwrap()).await.1, "invalid-query", "a cursor is its tenant's");
    for wrong in
        ["limit=0", "limit=100000", "from=soon", "cursor=x", &format!("from=2026-01-01T00:00:00Z&cursor={cursor}")]
    {
        let answer = api.get(&format!("/v1/admin/audit?{wrong}")).send().await.unwrap();
        assert_eq!(problem(answer).await.1, "invalid-query", "{wrong}");
    }
    api.stop().await;
}
