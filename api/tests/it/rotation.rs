//! A new link secret takes the place of the old one while gateways of either order run side by side, and nobody notices.

use configuration::{Secret, Secrets};
use model::access::hash_token;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Stack, body, header, on_both_stacks};

const OLD: &str = "the old secret, of more than 32 bytes!";
const NEW: &str = "the new secret, of more than 32 bytes!";

on_both_stacks!(
    a_new_link_secret_takes_the_place_of_the_old_one_unnoticed,
    a_browser_that_comes_to_both_gateways_has_one_session,
);

/// A second gateway on the same places.
struct Beside {
    url: String,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Beside {
    async fn start(api: &Api, secrets: &[&str]) -> Self {
        let mut config = api.config.clone();
        config.service.link_secret = list(secrets);
        let application = ::api::Application::build(&config, api.backends.clone()).await.unwrap();
        let url = format!("http://127.0.0.1:{}", application.port());
        let stop = CancellationToken::new();
        Self { url, running: tokio::spawn(application.run_until_stopped(stop.clone())), stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

fn list(secrets: &[&str]) -> Secrets {
    Secrets::new(secrets.iter().copied().map(Secret::new))
}

/// Asks one of the gateways with the key.
async fn ask(api: &Api, url: &str, path: &str) -> reqwest::Response {
    api.plain(Method::GET, &format!("{url}{path}")).bearer_auth(&api.key).send().await.unwrap()
}

async fn open(api: &Api, url: &str, link: &str) -> StatusCode {
    let path = link.split_once("/d/").unwrap().1;
    api.plain(Method::GET, &format!("{url}/d/{path}")).send().await.unwrap().status()
}

/// The link to a job's file, as a gateway shows it: with the job and in the list of its links.
async fn shown(api: &Api, url: &str, id: uuid::Uuid) -> String {
    let job = body(ask(api, url, &format!("/v1/jobs/{id}")).await).await;
    let links = body(ask(api, url, &format!("/v1/jobs/{id}/links")).await).await;
    let token = |link: &serde_json::Value| link.as_str().unwrap().split_once("/d/").unwrap().1.to_owned();
    assert_eq!(token(&job["artifacts"][0]["link"]), token(&links["links"][0]["link"]));
    format!("/d/{}", token(&job["artifacts"][0]["link"]))
}

async fn a_new_link_secret_takes_the_place_of_the_old_one_unnoticed(stack: Stack) {
    let mut api = Api::start_with(stack, |config| config.service.link_secret = OLD.into()).await;
    let before = api.submit_job().await;
    api.finish(before, b"a,b\r\n").await;
    api.submit_job().await;
    let old_link = shown(&api, &api.url, before).await;

    // First it is known everywhere, as the second; then it comes first, gateway by gateway.
    api.config.service.link_secret = list(&[OLD, NEW]);
    api.restart_gateway().await;
    let beside = Beside::start(&api, &[NEW, OLD]).await;
    let (one, other) = (api.url.clone(), beside.url.clone());
    let made_old = api.submit_job().await;
    api.finish(made_old, b"a,b\r\n").await;
    api.config.service.link_secret = list(&[NEW, OLD]);
    let made_new = api.submit_job().await;
    api.finish(made_new, b"a,b\r\n").await;
    let mut links = vec![old_link.clone()];
    for id in [before, made_old, made_new] {
        let link = shown(&api, &one, id).await;
        assert_eq!(link, shown(&api, &other, id).await, "both show the link that was sent");
        links.push(link);
    }
    assert_eq!(links[0], links[1]);
    for (link, url) in links.iter().flat_map(|link| [(link, &one), (link, &other)]) {
        assert_eq!(open(&api, url, link).await, StatusCode::OK);
    }
    let hash = hash_token(links[2].strip_prefix("/d/").unwrap());
    assert!(
        api.backends.store.find_link(hash).await.unwrap().is_some(),
        "a link is kept under the secret that made it"
    );

    // What one of them seals, the other opens: tokens, tickets, cursors.
    for (made, used) in [(&one, &other), (&other, &one)] {
        let minting = api.plain(Method::POST, &format!("{made}/v1/tokens")).bearer_auth(&api.key);
        let token = body(minting.json(&json!({"principal": "customer-7"})).send().await.unwrap()).await;
        let token = token["token"].as_str().unwrap().to_owned();
        let asked = api.plain(Method::GET, &format!("{used}/v1/jobs")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::OK);
        let page = body(ask(&api, made, "/v1/jobs?limit=1").await).await;
        let cursor = page["next"].as_str().unwrap();
        let next = ask(&api, used, &format!("/v1/jobs?limit=1&cursor={cursor}")).await;
        assert_eq!(next.status(), StatusCode::OK);
    }
    beside.stop().await;

    // Without the old one its links are over, as is said; those that the new one made go on.
    api.config.service.link_secret = list(&[NEW]);
    api.restart_gateway().await;
    assert_eq!(open(&api, &api.url, &links[0]).await, StatusCode::NOT_FOUND);
    assert_eq!(open(&api, &api.url, &links[3]).await, StatusCode::OK);
    assert_eq!(shown(&api, &api.url, made_new).await, links[3]);
    api.stop().await;
}

/// Signs in and returns the cookies that the browser has from then on.
async fn sign_in(api: &Api, url: &str, key: &str, cookies: &str) -> Vec<String> {
    let request = api.plain(Method::POST, &format!("{url}/v1/session")).header("origin", url).header("cookie", cookies);
    let answer = request.json(&json!({"key": key})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(header(&answer, "set-cookie").is_some());
    let given = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned());
    let mut kept: Vec<String> = cookies.split("; ").filter(|cookie| !cookie.is_empty()).map(str::to_owned).collect();
    for line in given {
        let pair = line.split(';').next().unwrap().to_owned();
        let name = pair.split_once('=').unwrap().0.to_owned();
        kept.retain(|cookie| !cookie.starts_with(&format!("{name}=")));
        if !line.contains("Max-Age=0") {
            kept.push(pair);
        }
    }
    kept
}

async fn who(api: &Api, url: &str, cookies: &str) -> serde_json::Value {
    let request = api.plain(Method::GET, &format!("{url}/v1/session")).header("cookie", cookies);
    body(request.send().await.unwrap()).await["principal"].clone()
}

async fn a_browser_that_comes_to_both_gateways_has_one_session(stack: Stack) {
    let api = Api::start_with(stack, |config| config.service.link_secret = list(&[OLD, NEW])).await;
    let beside = Beside::start(&api, &[NEW, OLD]).await;
    let joe = api.make_key(&crate::api::caller("acme", "joe"), &store::Scope::ALL).await;
    let cookies = sign_in(&api, &api.url, &api.key, "").await.join("; ");
    for url in [&api.url, &beside.url] {
        assert_eq!(who(&api, url, &cookies).await, "ana");
    }
    let kept = sign_in(&api, &beside.url, &joe, &cookies).await;
    assert_eq!(kept.len(), 1, "the cookie of the other name was taken back: {kept:?}");
    for url in [&api.url, &beside.url] {
        assert_eq!(who(&api, url, &kept[0]).await, "joe");
    }
    let out = api.plain(Method::DELETE, &format!("{}/v1/session", api.url)).header("origin", &api.url);
    assert_eq!(out.header("cookie", &kept[0]).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(who(&api, &api.url, &kept[0]).await, serde_json::Value::Null);
    beside.stop().await;
    api.stop().await;
}
