//! Roles, and reports that not everybody may see: whoever may not does not know that there is one.

use std::time::Duration;

use configuration::{AccessRole, Config};
use model::access::{hash_token, key_prefix, make_api_key};
use model::job::Caller;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::{NewApiKey, Scope};
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, id_of, on_both_stacks, problem};
use crate::sse::Stream;

on_both_stacks!(
    a_role_lets_its_keys_do_what_it_says_and_see_the_reports_it_names,
    who_may_not_see_a_report_does_not_know_that_there_is_one,
    a_token_sees_what_its_key_and_its_principal_may,
    a_name_that_is_no_role_is_no_power_and_no_error_for_others,
    jobs_of_a_report_go_with_it_and_watches_over_them_end,
    a_report_that_has_left_the_catalogue_is_for_whom_it_was,
    a_report_is_made_again_only_for_an_owner_who_may_see_it,
);

const CLOSED: &str = "title = \"Closed\"\nsource = \"demo\"\nformats = [\"csv\"]\n";

fn closed(viewers: &str) -> String {
    format!("{CLOSED}visible_to = [{viewers}]\nretention = \"1s\"\nsql = \"select 1\"\n")
}

fn settings(viewers: &'static str) -> impl FnOnce(&mut Config) {
    move |config| {
        write_closed(config, &closed(viewers));
        let numbers = vec!["num*".parse().unwrap(), "own".parse().unwrap()];
        let analyst = AccessRole { scopes: vec![Scope::Read, Scope::Write], reports: Some(numbers) };
        config.roles.insert("analyst".to_owned(), analyst);
        config.roles.insert("insider".to_owned(), AccessRole { scopes: vec![Scope::Write], reports: None });
    }
}

fn write_closed(config: &mut Config, text: &str) {
    // Put in its place as a whole: the gateway reads the folder all the time.
    let folder = config.catalogue.folder.clone().unwrap();
    config.catalogue.reload_every = Duration::from_millis(20);
    std::fs::write(folder.join("closed.tmp"), text).unwrap();
    std::fs::rename(folder.join("closed.tmp"), folder.join("closed.toml")).unwrap();
}

async fn make_key(api: &Api, who: &Caller, scopes: &[Scope], roles: &[&str]) -> String {
    let key = make_api_key();
    let new = NewApiKey {
        id: Uuid::now_v7(),
        prefix: key_prefix(&key),
        hash: hash_token(&key),
        caller: who.clone(),
        scopes: scopes.to_vec(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        attributes: model::attributes::Attributes::default(),
        valid_for: None,
    };
    api.backends.store.create_api_key(new).await.unwrap();
    key
}

/// What lists jobs, reports or schedules.
const HIDES: [&str; 7] = [
    "/v1/jobs",
    "/v1/jobs?report=closed",
    "/v1/admin/dead-letters",
    "/v1/admin/calibration",
    "/v1/usage",
    "/v1/schedules",
    "/v1/schedules?of=tenant",
];

/// Somebody with a key or a token.
struct Person<'a> {
    api: &'a Api,
    pass: String,
}

impl Person<'_> {
    /// Where it stands what comes on the day on which a schedule fires next.
    async fn day_of(&self, schedule: &str) -> String {
        let next = self.get(&format!("/v1/schedules/{schedule}")).await["next"]["nominal"].clone();
        let day = &next.as_str().unwrap()[..10];
        format!("/v1/schedules/upcoming?from={day}&to={day}&of=tenant")
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.plain(method, path).bearer_auth(&self.pass)
    }

    async fn get(&self, path: &str) -> Value {
        body(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    async fn status(&self, path: &str) -> u16 {
        self.ask(Method::GET, path).send().await.unwrap().status().as_u16()
    }

    async fn reports(&self) -> Vec<String> {
        let list = self.get("/v1/reports").await;
        list["reports"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    fn submit(&self, report: &str) -> RequestBuilder {
        self.ask(Method::POST, "/v1/jobs").json(&json!({"report": report}))
    }

    async fn run(&self, report: &str) -> Uuid {
        let answer = self.submit(report).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        id_of(&body(answer).await)
    }
}

async fn a_role_lets_its_keys_do_what_it_says_and_see_the_reports_it_names(stack: Stack) {
    let api = Api::start_with(stack, settings("\"role:insider\"")).await;
    let analyst = Person { api: &api, pass: make_key(&api, &ana(), &[], &["analyst"]).await };
    assert_eq!(analyst.reports().await, ["numbers", "own"]);
    assert_eq!(analyst.get("/v1/session").await["scopes"], json!(["read", "write"]));
    analyst.run("numbers").await;
    let (status, kind, _) = problem(analyst.submit("strict").send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (404, "report-not-found"));
    assert_eq!(analyst.status("/v1/admin/workers").await, 403);
    // Scopes and roles add up, and of two roles that name reports either will do.
    let both = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Admin], &["analyst", "insider"]).await };
    assert_eq!(both.get("/v1/session").await["scopes"], json!(["admin", "read", "write"]));
    assert_eq!(both.reports().await, ["numbers", "own"], "the report lets them, and their roles do not");
    let insider = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Read], &["insider"]).await };
    assert!(insider.reports().await.contains(&"closed".to_owned()));
    assert!(insider.reports().await.contains(&"strict".to_owned()));
    api.stop().await;
}

async fn who_may_not_see_a_report_does_not_know_that_there_is_one(stack: Stack) {
    let api = Api::start_with(stack, settings("\"role:insider\", \"principal:acme/ben\"")).await;
    let all = &Scope::ALL;
    let insider = Person { api: &api, pass: make_key(&api, &ana(), all, &["insider"]).await };
    let outsider = Person { api: &api, pass: make_key(&api, &ana(), all, &[]).await };
    let ben = Person { api: &api, pass: make_key(&api, &caller("acme", "ben"), all, &[]).await };
    let strange_ben = Person { api: &api, pass: make_key(&api, &caller("other", "ben"), all, &[]).await };
    assert!(ben.reports().await.contains(&"closed".to_owned()));
    assert!(!strange_ben.reports().await.contains(&"closed".to_owned()));
    let (failed, done) = (insider.run("closed").await, insider.run("closed").await);
    api.fail(failed).await;
    api.finish(done, b"a\r\n1\r\n").await;
    let schedule = json!({"report": "closed", "when": "every year on March 1 at 06:00", "zone": "UTC"});
    let made = insider.ask(Method::POST, "/v1/schedules").json(&schedule).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let scheduled = id_of(&body(made).await);
    // Nothing differs from a name that nobody has used.
    for (path, other) in [
        ("/v1/reports/closed".to_owned(), "/v1/reports/clawed".to_owned()),
        (format!("/v1/jobs/{done}"), format!("/v1/jobs/{}", Uuid::now_v7())),
        (format!("/v1/schedules/{scheduled}"), format!("/v1/schedules/{}", Uuid::now_v7())),
    ] {
        assert_eq!(outsider.get(&path).await, outsider.get(&other).await);
        assert_eq!(insider.status(&path).await, 200);
    }
    let refusal = async |report| problem(outsider.submit(report).send().await.unwrap()).await;
    assert_eq!(refusal("closed").await, refusal("clawed").await);
    let mint = async |report| {
        let asked = json!({"principal": "customer-7", "reports": [report]});
        problem(outsider.ask(Method::POST, "/v1/tokens").json(&asked).send().await.unwrap()).await
    };
    assert_eq!(mint("closed").await, mint("clawed").await);
    let comes = insider.day_of(&scheduled.to_string()).await;
    assert!(insider.get(&comes).await.to_string().contains("closed"));
    for path in HIDES.into_iter().chain([comes.as_str()]) {
        let said = outsider.get(path).await.to_string();
        let hidden = [failed.to_string(), done.to_string(), "closed".to_owned(), "Closed".to_owned()];
        let told: Vec<_> = hidden.iter().filter(|word| said.contains(*word)).collect();
        assert!(told.is_empty(), "{path} tells of {told:?}: {said}");
    }
    assert!(insider.get("/v1/admin/dead-letters").await.to_string().contains(&failed.to_string()));
    let again = outsider.ask(Method::POST, &format!("/v1/admin/dead-letters/{failed}/replay"));
    assert_eq!(problem(again.send().await.unwrap()).await.1, "job-not-found");
    let many = outsider.ask(Method::POST, "/v1/admin/dead-letters/replay").json(&json!({"jobs": [failed]}));
    assert_eq!(body(many.send().await.unwrap()).await["not_found"], json!([failed]));
    // The feed of the same principal: one who may see the report hears of its job, the other one of another job only.
    let mut heard = Stream::open(insider.ask(Method::GET, "/v1/events")).await;
    let mut unheard = Stream::open(outsider.ask(Method::GET, "/v1/events")).await;
    let hidden = insider.run("closed").await;
    let open = insider.run("numbers").await;
    let job_of = |frame: crate::sse::Frame| id_of(&json!({"id": frame.data.unwrap()["data"]["job_id"]}));
    assert_eq!(job_of(heard.next_state().await.unwrap()), hidden);
    assert_eq!(job_of(heard.next_state().await.unwrap()), open);
    assert_eq!(job_of(unheard.next_state().await.unwrap()), open);
    drop((heard, unheard));
    api.stop().await;
}

async fn a_token_sees_what_its_key_and_its_principal_may(stack: Stack) {
    let api = Api::start_with(stack, settings("\"role:insider\", \"principal:acme/ben\"")).await;
    let scopes = [Scope::Mint, Scope::Read, Scope::Write];
    let shop = Person { api: &api, pass: make_key(&api, &caller("acme", "shop"), &scopes, &[]).await };
    let inside = Person { api: &api, pass: make_key(&api, &caller("acme", "shop"), &scopes, &["insider"]).await };
    let narrow = Person { api: &api, pass: make_key(&api, &caller("acme", "shop"), &scopes, &["analyst"]).await };
    let mint = async |by: &Person<'_>, principal: &str| {
        let request = by.ask(Method::POST, "/v1/tokens").json(&json!({"principal": principal, "scopes": ["read"]}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201);
        Person { api: &api, pass: body(answer).await["token"].as_str().unwrap().to_owned() }
    };
    let sees = async |who: &Person<'_>| who.reports().await.contains(&"closed".to_owned());
    assert!(!sees(&mint(&shop, "ana").await).await);
    assert!(sees(&mint(&shop, "ben").await).await, "the backend vouches for its principals");
    assert!(sees(&mint(&inside, "ana").await).await, "a token has the roles of its key");
    let bound = mint(&narrow, "ben").await;
    assert_eq!(bound.reports().await, ["numbers", "own"], "and sees no more than they let it");
    assert_eq!(bound.submit("numbers").send().await.unwrap().status(), 403, "a role's scopes are not the token's");
    api.stop().await;
}

async fn a_name_that_is_no_role_is_no_power_and_no_error_for_others(stack: Stack) {
    let mut api = Api::start_with(stack, settings("\"role:insider\"")).await;
    let pass = make_key(&api, &ana(), &[Scope::Read], &["insider"]).await;
    let sees = async |api: &Api| Person { api, pass: pass.clone() }.reports().await;
    assert!(sees(&api).await.contains(&"closed".to_owned()));
    // The role is gone from the configuration: nobody sees more for that.
    api.config.roles.remove("insider");
    api.restart_gateway().await;
    assert_eq!(sees(&api).await, [""; 0]);
    let bare = Person { api: &api, pass: make_key(&api, &ana(), &[], &["insider"]).await };
    assert_eq!(bare.status("/v1/reports").await, 403);
    let other = Person { api: &api, pass: make_key(&api, &ana(), &[], &["analyst", "insider"]).await };
    assert_eq!(other.reports().await, ["numbers", "own"]);
    api.stop().await;
}

async fn jobs_of_a_report_go_with_it_and_watches_over_them_end(stack: Stack) {
    let mut api = Api::start_with(stack, settings("\"role:insider\"")).await;
    let insider = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Read], &["insider"]).await };
    let job = insider.run("closed").await;
    let path = format!("/v1/jobs/{job}");
    let mut watch = Stream::open(insider.ask(Method::GET, &format!("{path}/events"))).await;
    assert_eq!(watch.next_state().await.unwrap().name.as_deref(), Some("submitted"));
    let pass = insider.pass.clone();
    write_closed(&mut api.config, &closed("\"tenant:other\""));
    let insider = Person { api: &api, pass };
    testing::eventually(Duration::from_secs(10), "the report to be hidden", async || {
        (insider.status("/v1/reports/closed").await == 404).then_some(())
    })
    .await;
    assert_eq!(insider.status(&path).await, 404);
    api.claim(job).await;
    let mut last = None;
    while let Some(frame) = watch.next().await {
        assert_ne!(frame.name.as_deref(), Some("started"));
        last = if frame.data.is_some() { frame.data } else { last };
    }
    assert!(last.unwrap().to_string().contains("job-not-found"));
    api.stop().await;
}

async fn a_report_that_has_left_the_catalogue_is_for_whom_it_was(stack: Stack) {
    let api = Api::start_with(stack, settings("\"role:insider\"")).await;
    let insider = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Read], &["insider"]).await };
    let outsider = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Read], &[]).await };
    let path = format!("/v1/jobs/{}", insider.run("closed").await);
    std::fs::remove_file(api.config.catalogue.folder.as_ref().unwrap().join("closed.toml")).unwrap();
    testing::eventually(Duration::from_secs(10), "the report to be gone", async || {
        (insider.status("/v1/reports/closed").await == 404).then_some(())
    })
    .await;
    assert_eq!((insider.status(&path).await, outsider.status(&path).await), (200, 404));
    api.stop().await;
}

async fn a_report_is_made_again_only_for_an_owner_who_may_see_it(stack: Stack) {
    let mut api = Api::start_with(stack, settings("\"role:insider\"")).await;
    let insider = Person { api: &api, pass: make_key(&api, &ana(), &[Scope::Read], &["insider"]).await };
    let (job, pass) = (insider.run("closed").await, insider.pass.clone());
    let done = api.finish(job, b"a\r\n1\r\n").await;
    let token = model::access::link_token(api.config.service.link_secret.expose(), done.artifacts[0].link_id);
    let press = async |api: &Api| {
        let request = api.plain(Method::POST, &format!("/d/{token}/again")).header("origin", &api.url);
        request.send().await.unwrap().status().as_u16()
    };
    let expired = async |api: &Api| {
        let answer = api.plain(Method::GET, &format!("/d/{token}")).send().await.unwrap();
        (answer.status() == 410).then_some(())
    };
    testing::eventually(Duration::from_secs(10), "the link to expire", async || expired(&api).await).await;
    write_closed(&mut api.config, &closed("\"tenant:other\""));
    let hidden = async |api: &Api, status: u16| {
        let asked = api.plain(Method::GET, "/v1/reports/closed").bearer_auth(&pass).send().await.unwrap();
        (asked.status() == status).then_some(())
    };
    testing::eventually(Duration::from_secs(10), "the report to be hidden", async || hidden(&api, 404).await).await;
    assert_eq!(press(&api).await, 403);
    write_closed(&mut api.config, &closed("\"role:insider\""));
    testing::eventually(Duration::from_secs(10), "the report to be there", async || hidden(&api, 200).await).await;
    assert_eq!(press(&api).await, 303);
    api.stop().await;
}
