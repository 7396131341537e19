//! What credentials say of whoever asks: it reaches the query, makes jobs differ, is frozen into them, and is shown to nobody.

use model::attributes::Attributes;
use model::job::Caller;
use model::seal::SealedJob;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::{NewApiKey, Scope};
use uuid::Uuid;

use crate::api::{Api, Stack, body, caller, header, id_of, on_both_stacks, problem};
use crate::sse::Stream;

on_both_stacks!(
    a_report_gets_what_it_reads_from_credentials_or_is_refused,
    everything_wrong_with_attributes_of_a_mint_is_told_at_once,
    what_a_key_says_stays_in_the_tokens_that_it_mints,
    an_identical_job_of_another_region_is_never_the_answer,
    jobs_of_other_attributes_are_not_there_whoever_they_belong_to,
    attributes_are_frozen_into_a_job_and_go_with_it,
    a_link_makes_its_report_again_as_it_was,
    no_answer_shows_an_attribute,
);

const REGIONAL: &str = "title = \"Regional\"\nsource = \"demo\"\nformats = [\"csv\", \"parquet\", \"jsonl\"]\nreuse = \"1h\"\n\
    sql = \"select :attribute.region as r, 1 in (:attribute.customers) as c\"\n\
    [attributes.region]\ntype = \"text\"\ndescription = \"Where they sell.\"\n[attributes.customers]\ntype = \"integer\"\nlist = true\n";
const SECURED: &str =
    "title = \"Secured\"\nsource = \"demo\"\nreuse = \"1h\"\nrow_level_security = true\nsql = \"select 1 as one\"\n";

async fn start(stack: Stack) -> Api {
    Api::start_with(stack, |config| {
        let folder = config.catalogue.folder.clone().unwrap();
        std::fs::write(folder.join("regional.toml"), REGIONAL).unwrap();
        std::fs::write(folder.join("secured.toml"), SECURED).unwrap();
        std::fs::write(folder.join("brief.toml"), REGIONAL.replace("reuse", "retention = \"1s\"\nreuse")).unwrap();
    })
    .await
}

fn known(said: &Value) -> Attributes {
    Attributes::new(said.as_object().unwrap().clone()).unwrap()
}

async fn make_key(api: &Api, who: &Caller, scopes: &[Scope], said: &Value) -> String {
    let key = model::access::make_api_key();
    let (id, prefix, hash) = (Uuid::now_v7(), model::access::key_prefix(&key), model::access::hash_token(&key));
    let (caller, scopes, attributes) = (who.clone(), scopes.to_vec(), known(said));
    let new = NewApiKey { id, prefix, hash, caller, scopes, attributes, roles: Vec::new(), valid_for: None };
    api.backends.store.create_api_key(new).await.unwrap();
    key
}

/// Whoever holds a key or a token.
struct Holder<'a> {
    api: &'a Api,
    credential: String,
}

impl<'a> Holder<'a> {
    /// A backend that mints, of which something is known.
    async fn shop(api: &'a Api, said: &Value) -> Self {
        let scopes = [Scope::Mint, Scope::Read, Scope::Write];
        Self { api, credential: make_key(api, &caller("acme", "shop"), &scopes, said).await }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.plain(method, path).bearer_auth(&self.credential)
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn try_mint(&self, asked: &Value) -> Response {
        self.ask(Method::POST, "/v1/tokens").json(asked).send().await.unwrap()
    }

    /// Has a token minted for a customer of whom this is known.
    async fn mint(&self, said: Value) -> Holder<'a> {
        let answer = self.try_mint(&json!({"principal": "customer-7", "attributes": said})).await;
        assert_eq!(answer.status(), 201);
        Holder { api: self.api, credential: body(answer).await["token"].as_str().unwrap().to_owned() }
    }

    async fn submit(&self, asked: Value) -> Response {
        self.ask(Method::POST, "/v1/jobs").json(&asked).send().await.unwrap()
    }

    async fn submit_report(&self, report: &str) -> Uuid {
        let answer = self.submit(json!({"report": report, "formats": ["csv"]})).await;
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        id_of(&body(answer).await)
    }

    async fn sees(&self, job: Uuid) -> bool {
        let found = self.get(&format!("/v1/jobs/{job}")).await.status() == 200;
        let listed = body(self.get("/v1/jobs").await).await;
        let listed = listed["jobs"].as_array().unwrap().iter().any(|one| one["id"] == json!(job));
        assert_eq!(found, listed, "a list shows what is found");
        found
    }
}

fn eu() -> Value {
    json!({"region": "EU", "customers": [1, 2]})
}

fn us() -> Value {
    json!({"region": "US", "customers": []})
}

fn told(problem: &Value) -> Vec<(&str, &str)> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap())).collect()
}

async fn a_report_gets_what_it_reads_from_credentials_or_is_refused(stack: Stack) {
    let api = start(stack).await;
    let shop = Holder::shop(&api, &json!({})).await;
    let job = shop.mint(eu()).await.submit_report("regional").await;
    let kept = api.job(job).await;
    let opened = kept.attributes.open(&api.config.service.derive_seal_keys().unwrap(), SealedJob::from(&kept));
    assert_eq!(opened, Ok(known(&eu())));

    let nothing = shop.mint(json!({})).await;
    let (status, kind, said) = problem(nothing.submit(json!({"report": "regional", "formats": ["exe"]})).await).await;
    assert_eq!((status, kind.as_str()), (422, "validation-failed"));
    let errors = told(&said);
    assert_eq!(errors.len(), 3, "both attributes and the format: {errors:?}");
    assert!(errors[0].1.contains("the attribute `region`") && errors[0].1.contains("do not say it"), "{errors:?}");
    assert!(errors[1].1.contains("`customers`") && errors[1].1.contains("a list, each element a whole number"));
    let wrong = shop.mint(json!({"region": 471_147, "customers": "all-hidden"})).await;
    let (status, _, said) = problem(wrong.submit(json!({"report": "regional"})).await).await;
    assert_eq!((status, told(&said).len()), (422, 2));
    assert!(
        told(&said)
            .iter()
            .all(|(pointer, detail)| *pointer == "/report" && detail.contains("say it as something else"))
    );
    assert!(!said.to_string().contains("471147") && !said.to_string().contains("hidden"), "{said}");
    // They come from credentials and from nowhere else.
    for body in [
        json!({"report": "regional", "attributes": eu()}),
        json!({"report": "regional", "params": {"attribute.region": "EU"}}),
        json!({"report": "regional", "params": {"region": "EU"}}),
    ] {
        assert_eq!(nothing.submit(body).await.status(), 422);
    }
    // A key has attributes as a token has.
    let ana = make_key(&api, &caller("acme", "ana"), &[Scope::Read, Scope::Write], &eu()).await;
    Holder { api: &api, credential: ana }.submit_report("regional").await;
    let shown = body(nothing.get("/v1/reports/regional").await).await;
    assert_eq!(
        shown["attributes"],
        json!([{"name": "region", "type": "text", "list": false, "description": "Where they sell."},
               {"name": "customers", "type": "integer", "list": true, "description": ""}])
    );
    assert_eq!(shown["params"]["properties"], json!({}), "nobody is asked for them");
    api.stop().await;
}

async fn everything_wrong_with_attributes_of_a_mint_is_told_at_once(stack: Stack) {
    let api = start(stack).await;
    let shop = Holder::shop(&api, &json!({"tier": "gold"})).await;
    let asked = json!({"principal": "c", "reports": ["regional"], "attributes":
        {"Region": "EU", "ratio": 0.5, "deep": {"a": 1}, "mixed": ["a", 1], "tier": "silver", "a/b": 1}, "valid_for": 0});
    let (status, kind, said) = problem(shop.try_mint(&asked).await).await;
    assert_eq!((status, kind.as_str()), (422, "validation-failed"));
    let mut pointers: Vec<&str> = told(&said).into_iter().map(|(pointer, _)| pointer).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/attributes/Region",
            "/attributes/a~1b",
            "/attributes/deep",
            "/attributes/mixed",
            "/attributes/ratio",
            "/attributes/tier",
            "/valid_for"
        ]
    );
    let asked = json!({"principal": "c", "reports": ["regional"], "attributes": {"region": 7, "customers": [1]}});
    let (_, _, said) = problem(shop.try_mint(&asked).await).await;
    assert_eq!(told(&said), [("/attributes/region", "must be a text (report regional)")]);
    for wrong in [json!("EU"), json!([1]), json!(7)] {
        let (status, _, said) = problem(shop.try_mint(&json!({"principal": "c", "attributes": wrong})).await).await;
        assert_eq!((status, told(&said)), (422, vec![("/attributes", "must be an object")]));
    }
    let many: serde_json::Map<String, Value> = (0..40).map(|index| (format!("a{index}"), json!(1))).collect();
    let (_, _, said) = problem(shop.try_mint(&json!({"principal": "c", "attributes": many})).await).await;
    assert_eq!(told(&said)[0].0, "/attributes");
    let long: Vec<String> = (0..100).map(|_| "x".repeat(100)).collect();
    let (status, _, said) =
        problem(shop.try_mint(&json!({"principal": "c", "attributes": {"long": long}})).await).await;
    assert!(status == 422 && told(&said)[0].1.contains("at most 6000 fit"));
    api.stop().await;
}

async fn what_a_key_says_stays_in_the_tokens_that_it_mints(stack: Stack) {
    let api = start(stack).await;
    let shop = Holder::shop(&api, &eu()).await;
    // Nothing said, the same said, and more said: the key's are there each time.
    for said in [json!({}), json!({"region": "EU"}), json!({"level": 3})] {
        let guest = shop.mint(said).await;
        guest.submit_report("regional").await;
    }
    let changed = json!({"principal": "customer-7", "attributes": {"region": "US", "customers": null}});
    let (status, _, said) = problem(shop.try_mint(&changed).await).await;
    let pointers: Vec<_> = told(&said).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(status, 422);
    assert!(pointers.contains(&"/attributes/region") && pointers.contains(&"/attributes/customers"), "{pointers:?}");
    // What the page calls these two is not the same, so that they share no stream.
    let names = async |holder: &Holder<'_>| body(holder.get("/v1/session").await).await["bounds"].clone();
    let (one, other) = (shop.mint(json!({"level": 1})).await, shop.mint(json!({"level": 2})).await);
    assert_ne!(names(&one).await, names(&other).await);
    assert_eq!(names(&one).await, names(&shop.mint(json!({"level": 1})).await).await);
    api.stop().await;
}

async fn an_identical_job_of_another_region_is_never_the_answer(stack: Stack) {
    let api = start(stack).await;
    let shop = Holder::shop(&api, &json!({})).await;
    let (european, american) = (shop.mint(eu()).await, shop.mint(us()).await);
    let served = async |holder: &Holder<'_>, report: &str| {
        let answer = holder.submit(json!({"report": report, "formats": ["csv"]})).await;
        let job = body(answer).await;
        (job["served"].as_str().unwrap().to_owned(), id_of(&job))
    };
    let (cold, first) = served(&european, "regional").await;
    assert_eq!(cold, "cold");
    assert_eq!(served(&european, "regional").await.0, "joined");
    assert_eq!(served(&american, "regional").await.0, "cold", "it does not join");
    api.finish(first, b"r\r\nEU\r\n").await;
    assert_eq!(served(&european, "regional").await.0, "warm");
    let (again, _) = served(&american, "regional").await;
    assert_eq!(again, "joined", "its own run, which is still under way");
    // What the report does not read makes no difference.
    let mut more = eu();
    more["level"] = json!(3);
    assert_eq!(served(&shop.mint(more.clone()).await, "regional").await.0, "warm");
    // Where the source limits the rows by who asks, everything counts, and the principal first.
    assert_eq!(served(&european, "secured").await.0, "cold");
    assert_eq!(served(&european, "secured").await.0, "joined");
    assert_eq!(served(&shop.mint(more).await, "secured").await.0, "cold");
    let answer = shop.try_mint(&json!({"principal": "customer-8", "attributes": eu()})).await;
    let neighbour = Holder { api: &api, credential: body(answer).await["token"].as_str().unwrap().to_owned() };
    assert_eq!(served(&neighbour, "secured").await.0, "cold");
    assert_eq!(served(&neighbour, "regional").await.0, "warm", "the rows of one region are the same for both");

    // Nor by a key of a repeat.
    let repeat = async |holder: &Holder<'_>| {
        let request = holder.ask(Method::POST, "/v1/jobs").header("idempotency-key", "the-same");
        request.json(&json!({"report": "regional", "reuse": {"max_age": 0}})).send().await.unwrap()
    };
    assert_eq!(repeat(&european).await.status(), 202);
    assert_eq!(header(&repeat(&european).await, "idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(problem(repeat(&american).await).await.1, "idempotency-key-reused");
    api.stop().await;
}

async fn jobs_of_other_attributes_are_not_there_whoever_they_belong_to(stack: Stack) {
    let api = start(stack).await;
    let shop = Holder::shop(&api, &json!({})).await;
    let (european, american, nothing) = (shop.mint(eu()).await, shop.mint(us()).await, shop.mint(json!({})).await);
    let mut stream = Stream::open(american.ask(Method::GET, "/v1/events")).await;
    let job = european.submit_report("regional").await;
    let open = european.submit_report("numbers").await;
    let secured = european.submit_report("secured").await;
    assert!(european.sees(job).await && european.sees(secured).await);
    for other in [&american, &nothing] {
        assert!(!other.sees(job).await && !other.sees(secured).await);
        assert!(other.sees(open).await, "its rows depend on nothing that is known of them");
    }
    api.finish(job, b"r\r\nEU\r\n").await;
    for path in ["", "/preview", "/links", "/events", "/artifacts/csv", "/artifacts/csv/receipt"] {
        let answer = american.get(&format!("/v1/jobs/{job}{path}")).await;
        assert_eq!(problem(answer).await.1, "job-not-found", "{path}");
    }
    for path in ["cancel", "replay", "formats"] {
        let asking = american.ask(Method::POST, &format!("/v1/jobs/{job}/{path}"));
        let asking = if path == "formats" { asking.json(&json!({"formats": ["jsonl"]})) } else { asking };
        assert_eq!(problem(asking.send().await.unwrap()).await.1, "job-not-found", "{path}");
    }
    // Of three jobs the stream of the other tells one; the first thing that it tells is about that one.
    let first = stream.next_state().await.unwrap().data.unwrap().to_string();
    assert!(first.contains(&open.to_string()), "{first}");
    // A key of that very principal of which nothing is known is their backend, and sees all of theirs.
    let key = make_key(&api, &caller("acme", "customer-7"), &[Scope::Read], &json!({})).await;
    assert!(Holder { api: &api, credential: key }.sees(job).await);
    let key = make_key(&api, &caller("acme", "customer-7"), &[Scope::Read], &us()).await;
    assert!(!Holder { api: &api, credential: key }.sees(job).await);
    api.stop().await;
}

async fn attributes_are_frozen_into_a_job_and_go_with_it(stack: Stack) {
    let api = start(stack).await;
    let keys = api.config.service.derive_seal_keys().unwrap();
    let shop = Holder::shop(&api, &json!({})).await;
    let mut said = eu();
    said["level"] = json!(1);
    let guest = shop.mint(said.clone()).await;
    // Nobody runs anything in the name of somebody who has no key of their own.
    make_key(&api, &caller("acme", "customer-7"), &[Scope::Write], &json!({})).await;
    let answer = guest.submit(json!({"report": "regional", "formats": ["csv", "parquet"]})).await;
    let job = id_of(&body(answer).await);
    let frozen = api.job(job).await.attributes;
    // Somebody of whom more is known may see it, and has it replayed as it was.
    said["level"] = json!(9);
    let later = shop.mint(said).await;
    api.fail(job).await;
    let replayed = later.ask(Method::POST, &format!("/v1/jobs/{job}/replay")).send().await.unwrap();
    assert_eq!(replayed.status(), 202);
    assert_eq!(api.job(job).await.attributes, frozen);
    // Admins replay it as it was, too.
    api.fail(job).await;
    let replayed = api.post(&format!("/v1/admin/dead-letters/{job}/replay")).send().await.unwrap();
    assert_eq!((replayed.status().as_u16(), api.job(job).await.attributes == frozen), (202, true));
    let claimed = api.claim(job).await;
    let mut files = Vec::new();
    for format in [model::artifact::Format::Csv, model::artifact::Format::Parquet] {
        files.push(api.store_file(&claimed, format, b"rows").await);
    }
    api.settle(&claimed, store::Ending::Done(files)).await;
    let more = later.ask(Method::POST, &format!("/v1/jobs/{job}/formats")).json(&json!({"formats": ["jsonl"]}));
    let more = body(more.send().await.unwrap()).await;
    let made = api.job(id_of(&more)).await;
    assert_eq!(made.sharing.made_from, Some(job));
    let open = |job: &model::job::Job| job.attributes.open(&keys, SealedJob::from(job)).unwrap();
    assert_eq!(open(&made), open(&api.job(job).await), "its rows are those of the first job, and so is what is known");
    assert_eq!(open(&made).get("level"), Some(&json!(1)));
    api.stop().await;
}

async fn a_link_makes_its_report_again_as_it_was(stack: Stack) {
    let api = start(stack).await;
    let keys = api.config.service.derive_seal_keys().unwrap();
    let ana = caller("acme", "ana");
    let key = make_key(&api, &ana, &[Scope::Read, Scope::Write], &eu()).await;
    let european = Holder { api: &api, credential: key };
    let job = european.submit_report("brief").await;
    let done = api.finish(job, b"r\r\nEU\r\n").await;
    let link = model::access::link_token(api.config.service.link_secret.expose(), done.artifacts[0].link_id);
    testing::eventually(std::time::Duration::from_secs(30), "the link expires", async || {
        api.plain(Method::GET, &format!("/d/{link}")).send().await.unwrap().status() == 410
    })
    .await;
    // Whoever clicks is somebody else, of whom something else is known.
    let american =
        Holder { api: &api, credential: make_key(&api, &caller("acme", "eve"), &[Scope::Read], &us()).await };
    let again = american.ask(Method::POST, &format!("/d/{link}/again")).send().await.unwrap();
    assert_eq!(again.status(), 303);
    let listed = body(european.get("/v1/jobs").await).await;
    let made = api.job(id_of(&listed["jobs"][0])).await;
    assert_ne!(made.id, job);
    assert_eq!((made.caller.clone(), made.attributes.open(&keys, SealedJob::from(&made))), (ana, Ok(known(&eu()))));
    api.stop().await;
}

async fn no_answer_shows_an_attribute(stack: Stack) {
    let api = start(stack).await;
    let secret = json!({"region": "hidden-region", "customers": [471_147]});
    let shop = Holder::shop(&api, &secret).await;
    let guest = shop.mint(json!({})).await;
    let mut answers = Vec::new();
    let answer = guest.submit(json!({"report": "regional", "notify": []})).await;
    let text = answer.text().await.unwrap();
    let job = id_of(&serde_json::from_str(&text).unwrap());
    answers.push(text);
    api.finish(job, b"rows").await;
    for path in [
        format!("/v1/jobs/{job}"),
        "/v1/jobs".to_owned(),
        format!("/v1/jobs/{job}/artifacts/csv/receipt"),
        format!("/v1/jobs/{job}/links"),
        "/v1/session".to_owned(),
        "/v1/reports".to_owned(),
    ] {
        answers.push(guest.get(&path).await.text().await.unwrap());
    }
    let admin = api.get("/v1/admin/dead-letters").send().await.unwrap();
    answers.push(admin.text().await.unwrap());
    let events = api.backends.store.events_of_job(&caller("acme", "customer-7"), job, 0, 100).await.unwrap();
    assert!(!events.is_empty());
    answers.push(serde_json::to_string(&events).unwrap());
    for answer in answers {
        assert!(!answer.contains("hidden-region") && !answer.contains("471147"), "{answer}");
    }
    // Nor does the database hold them.
    let kept = serde_json::to_string(&api.job(job).await).unwrap();
    assert!(kept.contains("attribute.region") && !kept.contains("hidden-region") && !kept.contains("471147"));
    api.stop().await;
}
