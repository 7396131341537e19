//! Tokens for browsers: a backend mints them, and they do what they were minted for and nothing else.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, header, id_of, on_both_stacks, problem};
use crate::sse::Stream;

on_both_stacks!(
    a_token_does_what_it_was_minted_for,
    a_fixed_parameter_can_neither_be_changed_nor_left_out,
    jobs_beyond_a_token_are_not_there_for_its_holder,
    a_token_tells_only_the_recipients_it_may_name,
    a_token_bounds_what_is_under_way_at_once,
    everything_wrong_with_a_mint_is_told_at_once,
    nobody_mints_more_than_they_have,
    a_revoked_token_and_all_of_a_principal_open_nothing,
    what_is_no_token_of_ours_opens_nothing,
);

struct Shop<'a> {
    api: &'a Api,
    key: String,
}

impl<'a> Shop<'a> {
    async fn open(api: &'a Api) -> Self {
        let key = api.make_key(&caller("acme", "shop"), &[Scope::Mint, Scope::Read, Scope::Write]).await;
        Self { api, key }
    }

    async fn try_mint(&self, body: &Value) -> Response {
        self.api.plain(Method::POST, "/v1/tokens").bearer_auth(&self.key).json(body).send().await.unwrap()
    }

    async fn mint(&self, asked: Value) -> Guest<'a> {
        let answer = self.try_mint(&asked).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(header(&answer, "cache-control").unwrap(), "no-store");
        let minted = body(answer).await;
        Guest { api: self.api, token: minted["token"].as_str().unwrap().to_owned(), id: id_of(&minted) }
    }

    async fn revoke(&self, which: Value) {
        let request = self.api.plain(Method::POST, "/v1/tokens/revoke").bearer_auth(&self.key).json(&which);
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
}

struct Guest<'a> {
    api: &'a Api,
    token: String,
    id: Uuid,
}

impl Guest<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.plain(method, path).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn submit(&self, body: Value) -> Response {
        self.ask(Method::POST, "/v1/jobs").json(&body).send().await.unwrap()
    }

    /// Waits until the token opens nothing, and returns why.
    async fn shut_out(&self) -> String {
        testing::eventually(std::time::Duration::from_secs(5), "the token to open nothing", async || {
            let answer = self.get("/v1/jobs").await;
            if answer.status() == 401 { Some(problem(answer).await.1) } else { None }
        })
        .await
    }
}

fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

async fn a_token_does_what_it_was_minted_for(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let minted = shop.try_mint(&json!({"principal": "customer-7", "reports": ["numbers"], "valid_for": 60})).await;
    let said = body(minted).await;
    assert_eq!((&said["principal"], &said["scopes"]), (&json!("customer-7"), &json!(["read", "write"])));
    assert_eq!(said["expires_in"], 60);
    let usual = body(shop.try_mint(&json!({"principal": "customer-7"})).await).await;
    assert_eq!(usual["expires_in"], 900);
    let guest = shop.mint(json!({"principal": "customer-7", "reports": ["numbers"]})).await;

    let who = body(guest.get("/v1/session").await).await;
    assert_eq!((&who["tenant"], &who["principal"]), (&json!("acme"), &json!("customer-7")));
    let reports = body(guest.get("/v1/reports").await).await;
    assert_eq!(reports["reports"].as_array().unwrap().len(), 1);
    assert_eq!(reports["reports"][0]["name"], "numbers");
    assert_eq!(problem(guest.get("/v1/reports/kept").await).await.1, "report-not-found");
    assert_eq!(problem(guest.submit(json!({"report": "kept"})).await).await.1, "report-not-found");

    let answer = guest.submit(json!({"report": "numbers"})).await;
    assert_eq!(answer.status(), 202);
    let job = id_of(&body(answer).await);
    assert_eq!(body(guest.get("/v1/jobs").await).await["jobs"][0]["id"], json!(job));
    api.finish(job, b"1").await;
    assert_eq!(guest.get(&format!("/v1/jobs/{job}/artifacts/csv")).await.text().await.unwrap(), "1");
    // The backend sees its own jobs, not those of the people it mints for.
    let own = api.plain(Method::GET, "/v1/jobs").bearer_auth(&shop.key).send().await.unwrap();
    assert!(body(own).await["jobs"].as_array().unwrap().is_empty());
    for (method, path) in
        [(Method::GET, "/v1/admin/queues"), (Method::POST, "/v1/tokens"), (Method::POST, "/v1/tokens/revoke")]
    {
        assert_eq!(problem(guest.ask(method, path).send().await.unwrap()).await.1, "forbidden", "{path}");
    }
    let reader = shop.mint(json!({"principal": "customer-7", "scopes": ["read"]})).await;
    assert_eq!(problem(reader.submit(json!({"report": "numbers"})).await).await.1, "forbidden");
    assert_eq!(body(reader.get(&format!("/v1/jobs/{job}")).await).await["state"], "done");
    api.stop().await;
}

async fn a_fixed_parameter_can_neither_be_changed_nor_left_out(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let guest = shop.mint(json!({"principal": "customer-7", "params": {"amount": 7}})).await;
    let answer = guest.submit(json!({"report": "numbers", "params": {"day": "2026-02-03"}})).await;
    assert_eq!(answer.status(), 202);
    let job = id_of(&body(answer).await);
    let kept = api.job(job).await;
    assert_eq!((&kept.params["amount"], &kept.params["day"]), (&json!(7), &json!("2026-02-03")));

    for params in [json!({"amount": 8}), json!({"amount": 7}), json!({"amount": null})] {
        let (status, kind, said) = problem(guest.submit(json!({"report": "numbers", "params": params})).await).await;
        assert_eq!((status, kind.as_str()), (422, "validation-failed"));
        assert_eq!(pointers(&said), ["/params/amount"]);
    }
    // A report that does not take it would show what it is to hide.
    let (status, _, said) = problem(guest.submit(json!({"report": "own"})).await).await;
    assert_eq!((status, pointers(&said)), (422, vec!["/report"]));
    let shown = body(guest.get("/v1/reports/numbers").await).await;
    let properties = shown["params"]["properties"].as_object().unwrap();
    assert!(properties.contains_key("day") && !properties.contains_key("amount"));

    // Further formats and replays are of the job, whose parameters were fixed when it was made.
    api.fail(job).await;
    let again = guest.ask(Method::POST, &format!("/v1/jobs/{job}/replay")).send().await.unwrap();
    assert_eq!(again.status(), 202);
    let moved = format!("/v1/jobs/{job}/replay?amount=8");
    assert_eq!(problem(guest.ask(Method::POST, &moved).send().await.unwrap()).await.1, "invalid-query");
    assert_eq!(api.job(job).await.params["amount"], 7);
    api.stop().await;
}

async fn jobs_beyond_a_token_are_not_there_for_its_holder(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let wide = shop.mint(json!({"principal": "customer-7"})).await;
    let mut hidden = Vec::new();
    for asked in
        [json!({"report": "kept"}), json!({"report": "numbers", "params": {"amount": 8}}), json!({"report": "numbers"})]
    {
        hidden.push(id_of(&body(wide.submit(asked).await).await));
    }
    api.finish(hidden[2], b"secret").await;
    let narrow = shop.mint(json!({"principal": "customer-7", "reports": ["numbers"], "params": {"amount": 7}})).await;
    let mut feed = Stream::open(narrow.ask(Method::GET, "/v1/events")).await;
    let seen = id_of(&body(narrow.submit(json!({"report": "numbers"})).await).await);

    for id in &hidden {
        for (method, path) in [
            (Method::GET, format!("/v1/jobs/{id}")),
            (Method::GET, format!("/v1/jobs/{id}/events")),
            (Method::GET, format!("/v1/jobs/{id}/links")),
            (Method::GET, format!("/v1/jobs/{id}/preview")),
            (Method::GET, format!("/v1/jobs/{id}/artifacts/csv")),
            (Method::GET, format!("/v1/jobs/{id}/artifacts/csv/receipt")),
            (Method::POST, format!("/v1/jobs/{id}/artifacts/csv/revoke-link")),
            (Method::POST, format!("/v1/jobs/{id}/cancel")),
            (Method::POST, format!("/v1/jobs/{id}/replay")),
        ] {
            let answer = narrow.ask(method, &path).send().await.unwrap();
            assert_eq!(problem(answer).await.1, "job-not-found", "{path}");
        }
        let formats = narrow.ask(Method::POST, &format!("/v1/jobs/{id}/formats")).json(&json!({"formats": ["xlsx"]}));
        assert_eq!(problem(formats.send().await.unwrap()).await.1, "job-not-found");
    }
    let listed = body(narrow.get("/v1/jobs").await).await;
    assert_eq!(listed["jobs"].as_array().unwrap().iter().map(id_of).collect::<Vec<_>>(), [seen]);

    // The feed is of the principal's jobs; those beyond the token are not told of.
    wide.submit(json!({"report": "kept"})).await;
    let last = id_of(&body(narrow.submit(json!({"report": "numbers"})).await).await);
    for expected in [seen, last] {
        let frame = feed.next_state().await.unwrap();
        assert_eq!(frame.data.unwrap()["data"]["job_id"], json!(expected));
    }
    // The same key of a repeat does not show what it made before.
    let keyed = |guest: &Guest<'_>, asked: Value| {
        guest.ask(Method::POST, "/v1/jobs").header("idempotency-key", "one").json(&asked)
    };
    assert_eq!(keyed(&wide, json!({"report": "kept"})).send().await.unwrap().status(), 202);
    let repeat = keyed(&narrow, json!({"report": "kept"})).send().await.unwrap();
    assert_eq!(problem(repeat).await.1, "job-not-found");
    api.stop().await;
}

async fn a_token_tells_only_the_recipients_it_may_name(stack: Stack) {
    let api =
        Api::start_with(stack, |config| config.mail.allow = vec!["@acme.example".into(), "@shop.example".into()]).await;
    let shop = Shop::open(&api).await;
    let submit = async |guest: &Guest<'_>, to: &str| {
        let notify = json!([{"channel": "email", "to": to}]);
        guest.submit(json!({"report": "numbers", "notify": notify})).await
    };
    let nobody = shop.mint(json!({"principal": "customer-7"})).await;
    let (status, _, said) = problem(submit(&nobody, "ana@acme.example").await).await;
    assert_eq!((status, pointers(&said)), (422, vec!["/notify/0/to"]));
    let some = shop.mint(json!({"principal": "customer-7", "recipients": ["ana@acme.example", "@else.example"]})).await;
    assert_eq!(submit(&some, "ana@acme.example").await.status(), 202);
    for to in ["bob@acme.example", "ana@shop.example", "ana@else.example"] {
        assert_eq!(submit(&some, to).await.status(), 422, "{to}: the service's own rules hold as well");
    }
    api.stop().await;
}

async fn a_token_bounds_what_is_under_way_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let guest = shop.mint(json!({"principal": "customer-7", "max_unfinished": 3})).await;
    let keyed =
        || guest.ask(Method::POST, "/v1/jobs").header("idempotency-key", "one").json(&json!({"report": "numbers"}));
    let first = id_of(&body(keyed().send().await.unwrap()).await);
    let many = (0..12).map(|_| guest.submit(json!({"report": "numbers"})));
    let (mut made, mut refused) = (vec![first], 0);
    for answer in futures_util::future::join_all(many).await {
        if answer.status() == 202 {
            made.push(id_of(&body(answer).await));
        } else {
            assert!(header(&answer, "retry-after").is_some());
            assert_eq!(problem(answer).await.1, "too-many-requests");
            refused += 1;
        }
    }
    assert_eq!((made.len(), refused), (3, 10));
    let repeat = keyed().send().await.unwrap();
    assert_eq!((repeat.status().as_u16(), id_of(&body(repeat).await)), (202, first), "a repeat is no further job");
    let other = shop.mint(json!({"principal": "customer-8", "max_unfinished": 3})).await;
    assert_eq!(other.submit(json!({"report": "numbers"})).await.status(), 202, "another's jobs are not counted");
    api.fail(made[0]).await;
    assert_eq!(guest.submit(json!({"report": "numbers"})).await.status(), 202);
    // A job that runs again is under way as well.
    let replay = || guest.ask(Method::POST, &format!("/v1/jobs/{}/replay", made[0]));
    assert_eq!(problem(replay().send().await.unwrap()).await.1, "too-many-requests");
    api.finish(made[1], b"1").await;
    assert_eq!(replay().send().await.unwrap().status(), 202);
    api.stop().await;
}

async fn everything_wrong_with_a_mint_is_told_at_once(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let wrong = json!({
        "principal": "a b", "scopes": ["read", "admin", "read"], "reports": ["numbers", "none"],
        "params": {"amount": 700, "nothing": 1}, "recipients": ["ana"], "max_unfinished": 0, "valid_for": 3601, "more": 1,
    });
    let (status, kind, said) = problem(shop.try_mint(&wrong).await).await;
    assert_eq!((status, kind.as_str()), (422, "validation-failed"));
    let mut told = pointers(&said);
    told.sort_unstable();
    let expected = [
        "/max_unfinished",
        "/more",
        "/params/amount",
        "/params/nothing",
        "/principal",
        "/recipients/0",
        "/reports/1",
        "/scopes/1",
        "/scopes/2",
        "/valid_for",
    ];
    assert_eq!(told, expected);
    assert_eq!(problem(shop.try_mint(&json!({})).await).await.0, 422);
    let unknown = problem(shop.try_mint(&json!({"principal": "customer-7", "reports": ["none"]})).await).await;
    assert_eq!((unknown.1.as_str(), pointers(&unknown.2)), ("report-not-found", vec!["/reports/0"]));
    assert_eq!(problem(shop.try_mint(&json!([])).await).await.1, "invalid-body");
    let huge = json!({"principal": "customer-7", "params": {"amount": "x".repeat(7_000)}});
    assert_eq!(problem(shop.try_mint(&huge).await).await.0, 422, "a token that no header field can hold");
    for wrong in [json!({}), json!({"id": "x"}), json!({"id": Uuid::nil(), "principal": "customer-7"})] {
        let request = api.plain(Method::POST, "/v1/tokens/revoke").bearer_auth(&shop.key).json(&wrong);
        assert_eq!(problem(request.send().await.unwrap()).await.0, 422, "{wrong}");
    }
    api.stop().await;
}

async fn nobody_mints_more_than_they_have(stack: Stack) {
    let api = Api::start(stack).await;
    let (key, id) = api.make_key_for(&caller("acme", "shop"), &[Scope::Mint, Scope::Read], None).await;
    let shop = Shop { api: &api, key };
    let more = shop.try_mint(&json!({"principal": "customer-7", "scopes": ["read", "write"]})).await;
    assert_eq!(pointers(&problem(more).await.2), ["/scopes/1"]);
    let bare = Shop { api: &api, key: api.make_key(&caller("acme", "shop"), &[Scope::Mint]).await };
    assert_eq!(problem(bare.try_mint(&json!({"principal": "customer-7"})).await).await.0, 422);
    let guest = shop.mint(json!({"principal": "customer-7"})).await;
    assert_eq!(guest.get("/v1/jobs").await.status(), 200);
    assert_eq!(problem(guest.submit(json!({"report": "numbers"})).await).await.1, "forbidden");
    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    assert_eq!(guest.shut_out().await, "unauthorized", "a token ends with the key that minted it");
    api.stop().await;
}

async fn a_revoked_token_and_all_of_a_principal_open_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let foreign = Shop { api: &api, key: api.make_key(&caller("globex", "shop"), &[Scope::Mint, Scope::Read]).await };
    let one = shop.mint(json!({"principal": "customer-7"})).await;
    let two = shop.mint(json!({"principal": "customer-7"})).await;
    let other = shop.mint(json!({"principal": "customer-8"})).await;
    let namesake = foreign.mint(json!({"principal": "customer-7"})).await;
    // Another tenant ends nothing here.
    foreign.revoke(json!({"id": one.id})).await;
    shop.revoke(json!({"id": two.id})).await;
    assert_eq!(two.shut_out().await, "unauthorized");
    assert_eq!(one.get("/v1/jobs").await.status(), 200);
    shop.revoke(json!({"principal": "customer-7"})).await;
    assert_eq!(one.shut_out().await, "unauthorized");
    let anew = shop.mint(json!({"principal": "customer-7"})).await;
    for guest in [&anew, &other, &namesake] {
        assert_eq!(guest.get("/v1/jobs").await.status(), 200);
    }
    api.stop().await;
}

async fn what_is_no_token_of_ours_opens_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let shop = Shop::open(&api).await;
    let guest = shop.mint(json!({"principal": "customer-7", "valid_for": 1})).await;
    let secret = api.config.service.link_secret.expose().to_owned();
    let good = store::AccessToken::read([secret.as_str()], &guest.token).unwrap();
    let forged = |change: fn(&mut store::AccessToken)| {
        let mut token = good.clone();
        change(&mut token);
        token
    };
    let other_secret = good.write("another secret of more than 32 bytes!!");
    let grown = forged(|token| token.scopes.push(Scope::Admin)).write(&secret);
    let moved = forged(|token| token.caller.tenant = "globex".into()).write(&secret);
    let keyless = forged(|token| token.key_hash = [9; 32]).write(&secret);
    let body = guest.token.split_at(40).1;
    let wrong = [
        "wt_".to_owned(),
        format!("wt_{}", "A".repeat(100_000)),
        format!("wt_{body}"),
        format!("{}A", guest.token),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".to_owned(),
        other_secret,
        keyless,
    ];
    for token in wrong {
        let answer = api.plain(Method::GET, "/v1/jobs").bearer_auth(&token).send().await.unwrap();
        assert!([400, 401, 431].contains(&answer.status().as_u16()), "{} for {:.60}", answer.status(), token);
    }
    // Even whoever had the secret could not make one that does more than the key it names.
    for token in [grown, moved] {
        let answer = api.plain(Method::GET, "/v1/jobs").bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 403);
    }
    assert_eq!(guest.shut_out().await, "token-expired");
    assert_eq!(header(&guest.get("/v1/jobs").await, "www-authenticate").unwrap().matches("invalid_token").count(), 1);
    api.stop().await;
}
