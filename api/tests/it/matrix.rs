//! Every route, asked by everybody there may be: one rule says what each cell of the table has to answer. A further kind of identity is a
//! line in [`everybody`]; a further route needs a line in `rule.rs`, and the test says so.

mod rule;

use std::time::Duration;

use ::api::auth::Access;
use ::api::routes::{RouteEntry, pages, table};
use configuration::{AccessRole, Config, Quotas, Tenant};
use model::access::{hash_token, key_prefix, make_api_key};
use model::job::Caller;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::{NewApiKey, Scope};
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks};

use rule::expected;

on_both_stacks!(every_route_answers_everybody_as_the_rule_says);

/// The report that the table is about: for whoever has the role `insider`, and for one other tenant.
const GUARDED: &str = "title = \"Guarded\"\nsource = \"demo\"\nformats = [\"csv\"]\n\
                       visible_to = [\"role:insider\", \"tenant:other\"]\nsql = \"select 1\"\n";

/// What stands in answers about the report or its jobs, and nowhere else.
const WORDS: [&str; 2] = ["guarded", "Guarded"];

/// How somebody shows who they are.
#[derive(Clone)]
enum Pass {
    Nothing,
    Bearer(String),
    Cookie(String),
}

/// Somebody, as far as the rule has to know.
struct Identity {
    name: &'static str,
    pass: Pass,
    /// Why their pass opens nothing, by the slug of the problem.
    shut_out: Option<&'static str>,
    scopes: Vec<Scope>,
    /// Whether they may know of the report.
    sees: bool,
    /// Whether the jobs are theirs, and whether those are of their tenant.
    owns: bool,
    same_tenant: bool,
    /// Whether what they have is a token.
    is_token: bool,
    /// Whether their quota is used up.
    exhausted: bool,
    /// Two jobs that are done: one to do things to, and one whose link is opened.
    jobs: [Uuid; 2],
    link: String,
}

/// What a cell has to hold: a status, and the slug of the problem where it is one.
type Expected = (u16, &'static str);

fn request(api: &Api, row: &RouteEntry, who: &Identity) -> RequestBuilder {
    let [job, _] = who.jobs;
    let path = row.path.replace("{id}", &job.to_string()).replace("{format}", "csv").replace("{name}", "guarded");
    let path = path.replace("{token}", &who.link).replace("{part}", "workers").replace("{version}/{path:.*}", "0/none");
    let method = Method::from_bytes(row.method.as_str().as_bytes()).unwrap();
    let asked = match (row.method.as_str(), row.path) {
        ("DELETE", "/v1/admin/pauses") => "?kind=report&name=nothing",
        (_, "/v1/schedules/upcoming") => "?from=2026-03-01&to=2026-03-31",
        _ => "",
    };
    let request = api.plain(method, &format!("{path}{asked}"));
    let request = match &who.pass {
        Pass::Nothing => request,
        Pass::Bearer(key) => request.bearer_auth(key),
        Pass::Cookie(cookie) => request.header("cookie", cookie).header("origin", &api.url),
    };
    match (row.method.as_str(), row.path) {
        ("POST", "/v1/jobs") => request.json(&json!({"report": "guarded"})),
        ("POST", "/v1/session") => request.json(&json!({"key": "wl_nobodys"})),
        (_, "/v1/jobs/{id}/formats") => request.json(&json!({"formats": ["csv"]})),
        (_, "/v1/tokens") => request.json(&json!({"principal": "customer-7", "reports": ["guarded"]})),
        ("POST", "/v1/schedules") => {
            request.json(&json!({"report": "guarded", "when": "every year on March 1 at 06:00", "zone": "UTC"}))
        }
        (_, "/v1/schedules/preview") => request.json(&json!({"when": "every day at 06:00", "zone": "UTC"})),
        ("POST", "/v1/admin/pauses") => request.json(&json!({"kind": "report", "name": Uuid::now_v7().to_string()})),
        (_, "/v1/tokens/revoke") => request.json(&json!({"principal": "nobody"})),
        (_, "/v1/admin/dead-letters/replay") => request.json(&json!({"jobs": [job]})),
        (_, "/v1/admin/deliveries/send-again") => request.json(&json!({"failed_since": "2100-01-01T00:00:00Z"})),
        _ => request,
    }
}

/// Asks, and says what is wrong with the answer.
async fn check(api: &Api, row: &RouteEntry, who: &Identity) -> Option<String> {
    let (status, kind) = expected(row, who);
    let mut answer = request(api, row, who).send().await.unwrap();
    let is_problem = header(&answer, "content-type").is_some_and(|kind| kind == "application/problem+json");
    let got = answer.status().as_u16();
    let mut said = String::new();
    // A feed has no end: its first chunk is the hello.
    let chunks = if row.path == "/v1/events" { 1 } else { usize::MAX };
    if got != 101 {
        for _ in 0..chunks {
            let Some(chunk) = answer.chunk().await.unwrap() else { break };
            said.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
    let problem: Value = if is_problem { serde_json::from_str(&said).unwrap() } else { Value::Null };
    let slug = problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default().to_owned();
    let cell = format!("{} {} as {}", row.method, row.path, who.name);
    if (got, slug.as_str()) != (status, kind) {
        return Some(format!("{cell}: {got} {slug}, and not {status} {kind}: {said:.300}"));
    }
    let is_limit = problem["limit"]["name"] == "jobs_per_day" || problem["limit"]["name"] == "rows_per_day";
    if kind == "quota-exhausted" && !(is_limit && problem["limit"]["ends_at"].is_string()) {
        return Some(format!("{cell}: does not say which limit it is, and when it ends: {said}"));
    }
    // The audit log hides nothing from its readers.
    let open = row.access == Access::Public || matches!(row.path, "/v1/admin/dead-letters/replay" | "/v1/admin/audit");
    let told: Vec<&str> = WORDS.into_iter().filter(|word| said.contains(word)).collect();
    let job_told = who.jobs.iter().any(|job| said.contains(&job.to_string()));
    let reaches = if row.access == Access::Needs(Scope::Admin) { who.same_tenant } else { who.owns };
    let may_hear = who.sees && reaches;
    if !open && ((!told.is_empty() && !who.sees) || (job_told && !may_hear)) {
        return Some(format!("{cell}: tells of {told:?} or a job: {said:.300}"));
    }
    None
}

struct Stage<'a> {
    api: &'a Api,
    /// Of Ana, who may see the report.
    jobs: [Uuid; 2],
    link: String,
}

impl Stage<'_> {
    async fn key(&self, who: &Caller, scopes: &[Scope], roles: &[&str], valid_for: Option<Duration>) -> (String, Uuid) {
        let key = make_api_key();
        let id = Uuid::now_v7();
        let new = NewApiKey {
            id,
            prefix: key_prefix(&key),
            hash: hash_token(&key),
            caller: who.clone(),
            scopes: scopes.to_vec(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            attributes: model::attributes::Attributes::default(),
            valid_for,
        };
        self.api.backends.store.create_api_key(new).await.unwrap();
        (key, id)
    }

    /// Ana, who may see the report, own the jobs and do everything, but for what the caller changes.
    async fn somebody(&self, name: &'static str, who: &Caller, scopes: &[Scope], roles: &[&str]) -> Identity {
        let (key, _) = self.key(who, scopes, roles, None).await;
        Identity {
            name,
            pass: Pass::Bearer(key),
            shut_out: None,
            scopes: scopes.to_vec(),
            sees: true,
            owns: *who == ana(),
            same_tenant: who.tenant == ana().tenant,
            is_token: false,
            exhausted: false,
            jobs: self.jobs,
            link: self.link.clone(),
        }
    }

    async fn token(&self, key: &str, asked: Value) -> (String, Uuid) {
        let request = self.api.plain(Method::POST, "/v1/tokens").bearer_auth(key).json(&asked);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let minted = body(answer).await;
        (minted["token"].as_str().unwrap().to_owned(), id_of(&minted))
    }

    /// Waits until a pass that has ended is known to have.
    async fn ended(&self, pass: &str) {
        testing::eventually(Duration::from_secs(10), "a pass to open nothing", async || {
            let answer = self.api.plain(Method::GET, "/v1/jobs").bearer_auth(pass).send().await.unwrap();
            (answer.status() == 401).then_some(())
        })
        .await;
    }
}

/// Everybody there may be. One line each: who they are, and what the rule has to know of them.
async fn everybody(stage: &Stage<'_>) -> Vec<Identity> {
    let all = &Scope::ALL;
    let insider = &["insider"][..];
    let mut everybody = Vec::new();
    let whole = async |name| stage.somebody(name, &ana(), all, insider).await;
    let shut_out = async |name, pass, why| Identity { pass, shut_out: Some(why), ..whole(name).await };
    everybody.push(shut_out("anonymous", Pass::Nothing, "unauthorized").await);
    everybody.push(shut_out("an unknown key", Pass::Bearer(make_api_key()), "unauthorized").await);
    everybody.push(whole("the owner").await);
    for (name, scope) in ["read", "write", "admin", "backlog", "mint"].into_iter().zip(Scope::ALL) {
        everybody.push(stage.somebody(name, &ana(), &[scope], insider).await);
    }
    everybody.push(stage.somebody("no scope", &ana(), &[], insider).await);
    everybody.push(stage.somebody("another principal", &caller("acme", "ben"), all, insider).await);
    everybody.push(stage.somebody("another tenant", &caller("other", "ana"), all, &[]).await);
    let hidden =
        async |name, roles: &[&str]| Identity { sees: false, ..stage.somebody(name, &ana(), all, roles).await };
    everybody.push(hidden("without the report's role", &[]).await);
    everybody.push(hidden("with a role that names other reports", &["insider", "clerk"]).await);
    everybody.push(hidden("with a role that there is not", &["insider", "gone"]).await);
    let by_role = stage.somebody("with scopes of a role", &ana(), &[], &["insider", "reader"]).await;
    everybody.push(Identity { scopes: vec![Scope::Read], ..by_role });

    let (expired, _) = stage.key(&ana(), all, insider, Some(Duration::from_millis(1))).await;
    let (revoked, id) = stage.key(&ana(), all, insider, None).await;
    stage.api.backends.store.revoke_api_key(id).await.unwrap();
    let (shop, _) = stage.key(&ana(), all, insider, None).await;
    let (bare, _) = stage.key(&ana(), all, &[], None).await;
    let (free, _) = stage.token(&shop, json!({"principal": "ana"})).await;
    let (other, _) = stage.token(&shop, json!({"principal": "ana", "reports": ["numbers"]})).await;
    let (named, _) = stage.token(&shop, json!({"principal": "ana", "reports": ["guarded"]})).await;
    let (blind, _) = stage.token(&bare, json!({"principal": "ana"})).await;
    let (brief, _) = stage.token(&shop, json!({"principal": "ana", "valid_for": 1})).await;
    let (ended, ended_id) = stage.token(&shop, json!({"principal": "ana"})).await;
    let revoke = stage.api.plain(Method::POST, "/v1/tokens/revoke").bearer_auth(&shop).json(&json!({"id": ended_id}));
    assert_eq!(revoke.send().await.unwrap().status(), 204);
    for pass in [&expired, &revoked, &brief, &ended] {
        stage.ended(pass).await;
    }
    everybody.push(shut_out("an expired key", Pass::Bearer(expired), "key-expired").await);
    everybody.push(shut_out("a revoked key", Pass::Bearer(revoked), "unauthorized").await);
    everybody.push(shut_out("an expired token", Pass::Bearer(brief), "token-expired").await);
    everybody.push(shut_out("a revoked token", Pass::Bearer(ended), "unauthorized").await);
    let of_token = async |name, token, sees| Identity {
        pass: Pass::Bearer(token),
        scopes: vec![Scope::Read, Scope::Write],
        sees,
        is_token: true,
        ..whole(name).await
    };
    everybody.push(of_token("a token", free, true).await);
    everybody.push(of_token("a token for the report", named, true).await);
    everybody.push(of_token("a token for another report", other, false).await);
    everybody.push(of_token("a token of a key without the role", blind, false).await);

    let signed_in = stage.api.plain(Method::POST, "/v1/session").header("origin", &stage.api.url);
    let signed_in = signed_in.json(&json!({"key": shop})).send().await.unwrap();
    let cookie = header(&signed_in, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    everybody.push(Identity { pass: Pass::Cookie(cookie), ..whole("a browser that signed in").await });
    everybody.push(over_quota(stage).await);
    everybody
}

/// Somebody of a tenant that may have two jobs a day, and has had them.
async fn over_quota(stage: &Stage<'_>) -> Identity {
    let zoe = caller("full", "zoe");
    let who = stage.somebody("over quota", &zoe, &Scope::ALL, &["insider"]).await;
    let Pass::Bearer(key) = &who.pass else { panic!("a key") };
    let (jobs, link) = two_jobs(stage.api, key).await;
    Identity { owns: true, same_tenant: true, exhausted: true, jobs, link, ..who }
}

async fn two_jobs(api: &Api, key: &str) -> ([Uuid; 2], String) {
    let (mut jobs, mut link) = (Vec::new(), String::new());
    for _ in 0..2 {
        let request = api.plain(Method::POST, "/v1/jobs").bearer_auth(key).json(&json!({"report": "guarded"}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        jobs.push(id_of(&body(answer).await));
    }
    for job in &jobs {
        let done = api.finish(*job, b"a\r\n1\r\n").await;
        let secret = api.config.service.link_secret.expose();
        link = model::access::link_token(secret, done.artifacts[0].link_id);
    }
    (jobs.try_into().unwrap(), link)
}

fn settings(config: &mut Config) {
    let folder = config.catalogue.folder.clone().unwrap();
    std::fs::write(folder.join("guarded.toml"), GUARDED).unwrap();
    let role = |scopes: &[Scope], reports: Option<&str>| AccessRole {
        scopes: scopes.to_vec(),
        reports: reports.map(|pattern| vec![pattern.parse().unwrap()]),
    };
    config.roles.insert("insider".to_owned(), role(&[], None));
    config.roles.insert("reader".to_owned(), role(&[Scope::Read], None));
    config.roles.insert("clerk".to_owned(), role(&[], Some("num*")));
    let quotas = Quotas { jobs_per_day: 2, rows_per_day: 1, ..Quotas::default() };
    config
        .tenants
        .insert("full".to_owned(), Tenant { brand: config.mail.brand.clone(), weight: 1, max_running: 0, quotas });
}

#[expect(clippy::print_stdout, reason = "how many cells there are is for whoever reads the log")]
async fn every_route_answers_everybody_as_the_rule_says(stack: Stack) {
    let mut api = Api::start_with(stack, settings).await;
    let stage = Stage { api: &api, jobs: [Uuid::nil(); 2], link: String::new() };
    let (key, _) = stage.key(&ana(), &Scope::ALL, &["insider"], None).await;
    let (jobs, link) = two_jobs(&api, &key).await;
    let stage = Stage { api: &api, jobs, link };
    let everybody = everybody(&stage).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for who in &everybody {
        for row in table().into_iter().chain(pages()) {
            // It would end the session that the next cells are asked with.
            if row.method == "DELETE" && matches!(who.pass, Pass::Cookie(_)) {
                continue;
            }
            wrong.extend(check(&api, &row, who).await);
            cells += 1;
        }
    }
    println!("{cells} cells: {} identities and {} routes, {stack:?}", everybody.len(), table().len() + pages().len());
    assert!(wrong.is_empty(), "{} of {cells} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells > 1_000, "{cells}");
    drop(everybody);
    api.stop_gateway().await;
}
