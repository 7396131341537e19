//! The console's files, the widget, and the page behind a link.

use reqwest::Method;

use crate::api::{Api, Stack, header, on_both_stacks, problem};

on_both_stacks!(
    every_page_of_the_console_is_served_and_its_files_may_be_kept,
    the_widget_can_be_loaded_by_any_origin,
    a_person_with_a_link_gets_a_page_and_a_program_the_file,
    a_person_with_an_expired_link_is_told_how_to_get_the_report_again,
);

async fn every_page_of_the_console_is_served_and_its_files_may_be_kept(stack: Stack) {
    let api = Api::start(stack).await;
    let mut page = String::new();
    for path in ["/", "/login", "/reports/numbers", "/jobs", "/jobs/1", "/operations", "/operations/workers"] {
        let answer = api.plain(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, "content-type").unwrap(), "text/html; charset=utf-8");
        let policy = header(&answer, "content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let tag = header(&answer, "etag").unwrap();
        let again = api.plain(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(again.status(), 304);
        page = answer.text().await.unwrap();
        // Whatever a proxy puts before the path: every address in the page is relative to the page's own.
        let root = "../".repeat(path.matches('/').count() - 1);
        let root = if root.is_empty() { "./" } else { &root };
        let addresses = page.split(['"']).filter(|part| part.ends_with('/') || part.contains("/assets/")).skip(1);
        assert!(page.contains(&format!("\"{root}assets/")) && !page.contains("=\"/"), "{path}: {page}");
        assert!(addresses.clone().all(|address| address.starts_with(root)), "{path}: {page}");
    }
    let files: Vec<String> = page
        .split('"')
        .filter_map(|part| part.strip_prefix("../"))
        .filter(|part| part.starts_with("assets/"))
        .map(|part| format!("/{part}"))
        .collect();
    assert!(files.len() > 15, "{page}");
    for file in &files {
        let answer = api.plain(Method::GET, file).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        assert_eq!(header(&answer, "cache-control").unwrap(), "public, max-age=31536000, immutable");
        assert_ne!(header(&answer, "content-type").unwrap(), "application/octet-stream", "{file}");
    }
    let version = files[0].split('/').nth(2).unwrap();
    let older = api.plain(Method::GET, &files[0].replace(version, "0123456789abcdef")).send().await.unwrap();
    assert_eq!((older.status().as_u16(), header(&older, "cache-control").unwrap().as_str()), (200, "no-cache"));
    for missing in ["/assets/x/none.js", "/assets/x/../../Cargo.toml", "/assets/", "/operations/a/b"] {
        assert_eq!(problem(api.plain(Method::GET, missing).send().await.unwrap()).await.0, 404, "{missing}");
    }
    let lost = api.plain(Method::GET, "/nothing").header("accept", BROWSER).send().await.unwrap();
    assert_eq!(
        (lost.status().as_u16(), lost.text().await.unwrap()),
        (404, page.replace("\"../", "\"./")),
        "a person gets a page that says so"
    );
    api.stop().await;
}

async fn the_widget_can_be_loaded_by_any_origin(stack: Stack) {
    let api = Api::start(stack).await;
    let request = api.plain(Method::GET, "/widget.js").header("origin", "https://app.example");
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin").unwrap(), "*");
    assert_eq!(header(&answer, "cross-origin-resource-policy").unwrap(), "cross-origin");
    assert_eq!(header(&answer, "content-type").unwrap(), "text/javascript; charset=utf-8");
    assert!(answer.text().await.unwrap().len() <= 15_000);
    api.stop().await;
}

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn a_person_with_a_link_gets_a_page_and_a_program_the_file(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    api.finish(id, b"a,b\r\n1,2\r\n").await;
    let done = api.read(id).await;
    let link = done["artifacts"][0]["link"].as_str().unwrap();
    let open = |link: &str| api.plain(Method::GET, link).header("accept", BROWSER);

    let answer = open(link).send().await.unwrap();
    assert_eq!(header(&answer, "content-type").unwrap(), "text/html; charset=utf-8");
    assert!(header(&answer, "content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(header(&answer, "cache-control").unwrap(), "no-store");
    let page = answer.text().await.unwrap();
    let sha256 = done["artifacts"][0]["sha256"].as_str().unwrap();
    for word in ["Zahlen für Ana.csv", "3 rows", "10 bytes", "Numbers", "href=\"?download\"", sha256] {
        assert!(page.contains(word), "{word}: {page}");
    }
    for request in
        [api.plain(Method::GET, link), open(&format!("{link}?download")), open(link).header("range", "bytes=0-")]
    {
        let answer = request.send().await.unwrap();
        assert!(header(&answer, "content-disposition").unwrap().starts_with("attachment"));
        assert_eq!(answer.text().await.unwrap(), "a,b\r\n1,2\r\n");
    }
    api.stop().await;
}

async fn a_person_with_an_expired_link_is_told_how_to_get_the_report_again(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = serde_json::json!({"report": "fleeting"});
    let id = crate::api::id_of(&crate::api::body(api.submit(&asked).await).await);
    api.finish(id, b"gone soon").await;
    let link = api.read(id).await["artifacts"][0]["link"].as_str().unwrap().to_owned();
    let open = || api.plain(Method::GET, &link).header("accept", BROWSER).send();
    testing::eventually(std::time::Duration::from_secs(10), "the link expires", async || {
        open().await.unwrap().status() == 410
    })
    .await;
    let page = open().await.unwrap().text().await.unwrap();
    let path = link.strip_prefix(&api.url).unwrap();
    assert!(page.contains(&format!("action=\"..{path}/again\"")) && page.contains("Make it again"), "{page}");
    api.stop().await;
}
