//! Links: who opens them is counted, who may is checked, and what has gone is made again.

use std::time::Duration;

use model::job::JobState;
use model::locale::{Language, time_zone};
use report::parse_definition;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::Scope;
use testing::eventually;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    views_and_downloads_are_counted_and_scanners_use_nothing_up,
    an_expired_link_makes_its_report_again_and_leads_to_the_new_file,
    a_report_that_is_made_again_has_a_forecast_and_a_place_in_line,
    two_clicks_at_once_make_the_report_once,
    a_report_that_could_not_be_made_again_can_be_tried_once_more,
    a_report_is_not_made_again_too_often,
    a_report_is_made_again_only_while_that_is_allowed,
    a_link_may_be_for_people_who_are_signed_in_only,
    the_page_of_a_link_speaks_the_language_of_whoever_opens_it,
);

const FILE: &[u8] = b"day,amount\r\n2026-01-31,1\r\n";
const NEW_FILE: &[u8] = b"day,amount\r\n2026-02-01,2\r\n";
const SOON: Duration = Duration::from_secs(30);
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

impl Api {
    /// Opens a link as a program does.
    async fn fetch(&self, link: &str) -> Response {
        self.plain(Method::GET, link).send().await.unwrap()
    }

    /// Opens a link as a person does.
    async fn look(&self, link: &str) -> Response {
        self.plain(Method::GET, link).header("accept", HTML).header("user-agent", FIREFOX).send().await.unwrap()
    }

    /// Presses the button on an expired link's page.
    async fn press(&self, link: &str) -> Response {
        let origin = &self.url;
        self.plain(Method::POST, &format!("{link}/again"))
            .header("accept", HTML)
            .header("origin", origin)
            .header("sec-fetch-site", "same-origin")
            .send()
            .await
            .unwrap()
    }

    async fn links(&self, id: Uuid) -> Value {
        body(self.get(&format!("/v1/jobs/{id}/links")).send().await.unwrap()).await["links"].clone()
    }

    async fn state_of(&self, link: &str) -> Value {
        body(self.fetch(&format!("{link}/status")).await).await
    }

    /// Makes a report and returns its job and the link to its file.
    async fn made(&self, report: &str) -> (Uuid, String) {
        let id = id_of(&body(self.submit(&json!({"report": report, "params": {"amount": 7}})).await).await);
        self.finish(id, FILE).await;
        (id, self.links(id).await[0]["link"].as_str().unwrap().to_owned())
    }

    /// The same, and waits until the file has gone. From then on the report keeps its files for long.
    async fn expired(&self) -> (Uuid, String) {
        let (id, link) = self.made("fleeting").await;
        eventually(SOON, "the link expires", async || self.state_of(&link).await["state"] == "expired").await;
        let folder = self.config.catalogue.folder.as_ref().unwrap();
        let text = std::fs::read_to_string(folder.join("fleeting.toml")).unwrap();
        self.offer("fleeting", &text.replace("\"1s\"", "\"30d\"")).await;
        (id, link)
    }

    /// Puts a report into the catalogue and waits until the gateway has read it.
    async fn offer(&self, name: &str, text: &str) {
        let folder = self.config.catalogue.folder.as_ref().unwrap();
        std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        let version = parse_definition(name, text).unwrap().version;
        eventually(SOON, "the catalogue is read anew", async || {
            let answer = self.get(&format!("/v1/reports/{name}")).send().await.unwrap();
            answer.status() == 200 && body(answer).await["version"] == version.as_str()
        })
        .await;
    }

    /// The job that makes a link's report again.
    async fn remade(&self, id: Uuid) -> Uuid {
        self.links(id).await[0]["again_job_id"].as_str().expect("it is made again").parse().unwrap()
    }

    async fn count_jobs(&self) -> usize {
        body(self.get("/v1/jobs").send().await.unwrap()).await["jobs"].as_array().unwrap().len()
    }
}

async fn views_and_downloads_are_counted_and_scanners_use_nothing_up(stack: Stack) {
    let api = Api::start(stack).await;
    let (id, link) = api.made("numbers").await;
    let as_agent = |agent: &'static str| api.plain(Method::GET, &link).header("user-agent", agent).send();
    for scanner in ["Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Mozilla/5.0 BingPreview/1.0b"] {
        let answer = api.plain(Method::GET, &link).header("accept", HTML).header("user-agent", scanner).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    let page = api.look(&link).await;
    assert_eq!(header(&page, "cache-control").unwrap(), "no-store");
    assert!(page.text().await.unwrap().contains("<code>"), "the page shows the file's hash");
    assert_eq!(as_agent("curl/8.5.0").await.unwrap().bytes().await.unwrap(), FILE);
    let download = api.plain(Method::GET, &format!("{link}?download")).header("accept", HTML);
    let signed_in = download.header("user-agent", FIREFOX).bearer_auth(&api.key).send().await.unwrap();
    assert_eq!(signed_in.bytes().await.unwrap(), FILE);
    // Going on where it broke off, and asking how long it is, are no downloads of their own.
    let rest = api.plain(Method::GET, &link).header("range", "bytes=12-").send().await.unwrap();
    assert_eq!((rest.status().as_u16(), rest.bytes().await.unwrap().as_ref()), (206, &FILE[12..]));
    assert_eq!(api.plain(Method::HEAD, &link).send().await.unwrap().status(), 200);
    let status = api.links(id).await[0].clone();
    assert_eq!((&status["views"], &status["downloads"], &status["state"]), (&json!(1), &json!(2), &json!("works")));
    assert_eq!((&status["format"], status["link"].as_str()), (&json!("csv"), Some(link.as_str())));
    let log: Vec<_> = status["clicks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|click| (&click["kind"], &click["agent"], &click["principal"]))
        .collect();
    let expected = json!([
        ["download", "browser", "ana"],
        ["download", "program", null],
        ["view", "browser", null],
        ["view", "scanner", null],
        ["view", "scanner", null],
    ]);
    assert_eq!(json!(log), expected);
    // Whose job it is not does not see who opened its links.
    let stranger = api.make_key(&caller("acme", "bob"), &[Scope::Read]).await;
    let answer = api.plain(Method::GET, &format!("/v1/jobs/{id}/links")).bearer_auth(stranger).send().await.unwrap();
    assert_eq!(problem(answer).await.1, "job-not-found");
    api.stop().await;
}

async fn an_expired_link_makes_its_report_again_and_leads_to_the_new_file(stack: Stack) {
    let api = Api::start(stack).await;
    let (id, link) = api.expired().await;
    let page = api.look(&link).await;
    assert_eq!(page.status(), 410);
    let page = page.text().await.unwrap();
    let path = link.strip_prefix(&api.url).unwrap();
    let token = path.strip_prefix("/d/").unwrap();
    assert!(page.contains(&format!("<form method=\"post\" action=\"../d/{token}/again\">")), "{page}");
    assert_eq!(problem(api.fetch(&link).await).await.1, "link-expired");
    // Looking at it, however often, makes nothing.
    assert_eq!(api.count_jobs().await, 1);

    let answer = api.press(&link).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "location").as_deref()),
        (303, Some(&*format!("../{token}")))
    );
    let again = api.remade(id).await;
    let job = api.job(again).await;
    assert_eq!((job.caller, job.state), (ana(), JobState::Pending));
    assert_eq!(job.params, api.job(id).await.params);
    assert_eq!(api.state_of(&link).await, json!({"state": "making", "rows": 0, "percent": null}));
    let page = api.look(&link).await;
    assert_eq!((page.status().as_u16(), header(&page, "cache-control").as_deref()), (202, Some("no-store")));
    let page = page.text().await.unwrap();
    assert!(page.contains("being made again") && page.contains("http-equiv=\"refresh\""), "{page}");
    let script = page.split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let script = script.replacen("../", "/", 1);
    assert!(api.fetch(&script).await.text().await.unwrap().contains("/status"));

    api.finish(again, NEW_FILE).await;
    assert_eq!(api.state_of(&link).await["state"], "ready");
    assert_eq!(api.fetch(&link).await.bytes().await.unwrap(), NEW_FILE);
    let page = api.look(&link).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("?download"));
    // Pressing once more changes nothing, and the clicks are of the new link.
    assert_eq!(api.press(&link).await.status(), 303);
    assert_eq!(api.count_jobs().await, 2);
    assert_eq!(api.links(again).await[0]["downloads"], 1);
    // Who revokes the new link ends the old one too.
    let revoked = api.post(&format!("/v1/jobs/{again}/artifacts/csv/revoke-link")).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    assert_eq!(problem(api.fetch(&link).await).await.1, "link-revoked");
    api.stop().await;
}

async fn a_report_that_is_made_again_has_a_forecast_and_a_place_in_line(stack: Stack) {
    let api = Api::start(stack).await;
    let (id, link) = api.expired().await;
    let ahead = api.submit_job().await;
    eventually(SOON, "the finished job to have left the line", async || {
        api.read(ahead).await["queue"] == json!({"position": 1})
    })
    .await;
    api.press(&link).await;
    let again = api.job(api.remade(id).await).await;
    assert_eq!(again.forecast.map(|forecast| forecast.position), Some(2));
    assert_eq!(api.read(again.id).await["queue"], json!({"position": 2}));
    let behind = body(api.submit(&json!({"report": "numbers"})).await).await;
    assert_eq!(behind["queue"], json!({"position": 3}));
    api.stop().await;
}

async fn two_clicks_at_once_make_the_report_once(stack: Stack) {
    let api = Api::start(stack).await;
    let (_, link) = api.expired().await;
    let both = tokio::join!(api.press(&link), api.press(&link), api.press(&link));
    assert_eq!([both.0.status().as_u16(), both.1.status().as_u16(), both.2.status().as_u16()], [303; 3]);
    assert_eq!(api.count_jobs().await, 2);
    api.stop().await;
}

async fn a_report_that_could_not_be_made_again_can_be_tried_once_more(stack: Stack) {
    let api = Api::start(stack).await;
    let (id, link) = api.expired().await;
    api.press(&link).await;
    let first = api.remade(id).await;
    api.fail(first).await;
    assert_eq!(api.state_of(&link).await["state"], "failed");
    let page = api.look(&link).await.text().await.unwrap();
    assert!(page.contains("could not be made again") && page.contains("Try once more"), "{page}");
    assert_eq!(api.press(&link).await.status(), 303);
    let second = api.remade(id).await;
    assert_ne!(first, second);
    api.finish(second, NEW_FILE).await;
    assert_eq!(api.fetch(&link).await.bytes().await.unwrap(), NEW_FILE);
    api.stop().await;
}

async fn a_report_is_not_made_again_too_often(stack: Stack) {
    let api = Api::start(stack).await;
    let (id, link) = api.expired().await;
    for _ in 0..4 {
        assert_eq!(api.press(&link).await.status(), 303);
        api.fail(api.remade(id).await).await;
    }
    let refused = api.press(&link).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after").as_deref()), (429, Some("900")));
    api.stop().await;
}

async fn a_report_is_made_again_only_while_that_is_allowed(stack: Stack) {
    let api = Api::start(stack).await;
    let (_, link) = api.expired().await;
    // From a page of another site.
    for (origin, site) in [("https://evil.example", "cross-site"), (api.url.as_str(), "cross-site")] {
        let request = api.plain(Method::POST, &format!("{link}/again"));
        let answer = request.header("origin", origin).header("sec-fetch-site", site).send().await.unwrap();
        assert_eq!(problem(answer).await.0, 403, "{origin}");
    }
    // By a token that nobody has.
    assert_eq!(problem(api.plain(Method::POST, "/d/nothing/again").send().await.unwrap()).await.1, "link-not-found");
    // Of a link that was revoked.
    let (other, revoked) = api.made("numbers").await;
    api.post(&format!("/v1/jobs/{other}/artifacts/csv/revoke-link")).send().await.unwrap();
    let press = |link: &str| api.plain(Method::POST, &format!("{link}/again")).send();
    assert_eq!(problem(press(&revoked).await.unwrap()).await.1, "link-revoked");
    // With parameters that the report does not take any more, and of a report that is no longer offered.
    let folder = api.config.catalogue.folder.clone().unwrap();
    let text = std::fs::read_to_string(folder.join("fleeting.toml")).unwrap();
    api.offer("fleeting", &text.replace("max = 100", "max = 5")).await;
    assert_eq!(problem(press(&link).await.unwrap()).await.1, "validation-failed");
    std::fs::remove_file(folder.join("fleeting.toml")).unwrap();
    eventually(SOON, "the report leaves the catalogue", async || {
        api.get("/v1/reports/fleeting").send().await.unwrap().status() == 404
    })
    .await;
    assert_eq!(problem(press(&link).await.unwrap()).await.1, "report-not-found");
    api.offer("fleeting", &text).await;
    // In the name of somebody whose keys were all revoked.
    let keys = api.backends.store.api_keys(Some("acme")).await.unwrap();
    for key in keys.iter().filter(|key| key.caller == ana()) {
        api.backends.store.revoke_api_key(key.id).await.unwrap();
    }
    assert_eq!(problem(press(&link).await.unwrap()).await.1, "forbidden");
    api.stop().await;
}

async fn a_link_may_be_for_people_who_are_signed_in_only(stack: Stack) {
    let api = Api::start(stack).await;
    let folder = api.config.catalogue.folder.clone().unwrap();
    let text = std::fs::read_to_string(folder.join("numbers.toml")).unwrap();
    api.offer("private", &format!("links = \"tenant\"\n{text}")).await;
    let (id, link) = api.made("private").await;
    assert_eq!(problem(api.fetch(&link).await).await.1, "unauthorized");
    assert_eq!(problem(api.fetch(&format!("{link}/status")).await).await.1, "unauthorized");
    let page = api.look(&link).await;
    assert_eq!(page.status(), 401);
    let page = page.text().await.unwrap();
    assert!(page.contains("/login?next=%2Fd%2F") && !page.contains("Zahlen"), "{page}");
    let bob = api.make_key(&caller("acme", "bob"), &[Scope::Read]).await;
    let opened = api.plain(Method::GET, &link).bearer_auth(bob).send().await.unwrap();
    assert_eq!(opened.bytes().await.unwrap(), FILE);
    let stranger = api.make_key(&caller("globex", "ana"), &[Scope::Read]).await;
    let refused = api.plain(Method::GET, &link).bearer_auth(&stranger).send().await.unwrap();
    assert_eq!(problem(refused).await.1, "forbidden");
    let writer = api.make_key(&caller("acme", "eve"), &[Scope::Write]).await;
    let refused = api.plain(Method::GET, &link).bearer_auth(&writer).send().await.unwrap();
    assert_eq!(problem(refused).await.1, "forbidden");
    let status = api.links(id).await[0].clone();
    assert_eq!((&status["downloads"], &status["clicks"][0]["principal"]), (&json!(1), &json!("bob")));
    // A report that is bound later binds the links it has given already.
    let (_, open) = api.made("numbers").await;
    assert_eq!(api.fetch(&open).await.status(), 200);
    api.offer("numbers", &format!("links = \"tenant\"\n{text}")).await;
    assert_eq!(api.fetch(&open).await.status(), 401);
    api.stop().await;
}

async fn the_page_of_a_link_speaks_the_language_of_whoever_opens_it(stack: Stack) {
    let api = Api::start_with(stack, |config| {
        let mut acme = config.mail.brand.clone();
        (acme.language, acme.time_zone) = (Language::Es, time_zone("Europe/Madrid").unwrap());
        config.tenants.insert("acme".to_owned(), acme.into());
    })
    .await;
    let read = async |link: &str, language: &str| {
        let request = api.plain(Method::GET, link).header("accept", HTML).header("user-agent", FIREFOX);
        let answer = request.header("accept-language", language).send().await.unwrap();
        assert_eq!(header(&answer, "vary").as_deref(), Some("accept, accept-language"));
        (header(&answer, "content-language").unwrap(), answer.text().await.unwrap())
    };
    let (id, link) = api.made("numbers").await;
    for (asked, language, words) in [
        ("de-AT,en;q=0.5", "de", "Herunterladen"),
        ("fr", "fr", "autant de fois que vous le souhaitez"),
        ("zh-CN,zh;q=0.9", "zh", "<html lang=\"zh-Hans\">"),
        ("en-GB", "en", "any number of times"),
        // Nobody speaks that here: then as the tenant's mails, and by its clock.
        ("it", "es", "tantas veces como quiera"),
        ("", "es", " CE"),
    ] {
        let (spoken, page) = read(&link, asked).await;
        assert_eq!(spoken, language, "{asked}");
        let main = page.split("<main>").nth(1).unwrap();
        assert!(page.contains(words) && !main.contains('{'), "{asked}: {page}");
        assert!(language == "en" || !page.contains("Download"), "{asked}: {page}");
    }
    api.post(&format!("/v1/jobs/{id}/artifacts/csv/revoke-link")).send().await.unwrap();
    let (_, revoked) = read(&link, "de").await;
    assert!(revoked.contains("<h1>Der Link wurde zurückgezogen</h1>"), "{revoked}");
    let (_, unknown) = read("/d/nothing", "zh").await;
    assert!(unknown.contains("没有这个链接"), "{unknown}");

    let (id, link) = api.expired().await;
    let (_, gone) = read(&link, "fr").await;
    assert!(gone.contains("Refaire le rapport"), "{gone}");
    api.press(&link).await;
    let (_, making) = read(&link, "de").await;
    assert!(
        making.contains("Der Bericht wird neu erstellt") && making.contains("data-rows=\"{n} Zeilen bisher\""),
        "{making}"
    );
    api.fail(api.remade(id).await).await;
    let (_, failed) = read(&link, "es").await;
    assert!(
        failed.contains("No se pudo volver a crear el informe") && failed.contains("Intentarlo otra vez"),
        "{failed}"
    );

    let folder = api.config.catalogue.folder.clone().unwrap();
    let text = std::fs::read_to_string(folder.join("numbers.toml")).unwrap();
    api.offer("private", &format!("links = \"tenant\"\n{text}")).await;
    let (_, link) = api.made("private").await;
    let (_, sign_in) = read(&link, "fr").await;
    assert!(sign_in.contains("Connectez-vous pour ouvrir ce lien"), "{sign_in}");
    api.stop().await;
}
