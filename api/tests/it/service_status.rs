//! The page that says whether submitting, running and mailing work.

use reqwest::{Method, StatusCode};

use crate::api::{Api, Stack, on_both_stacks};

on_both_stacks![
    the_status_of_the_service_is_shown_to_those_who_may_read_and_to_all_where_it_is_open,
    the_status_page_tells_no_number_of_any_tenant_and_asks_the_store_for_nobody,
];

const HTML: &str = "text/html,application/xhtml+xml";

async fn page(api: &Api, language: &str) -> (StatusCode, String) {
    let request = api.plain(Method::GET, "/status").header("accept", HTML).header("accept-language", language);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn the_status_of_the_service_is_shown_to_those_who_may_read_and_to_all_where_it_is_open(stack: Stack) {
    let api = Api::start(stack).await;
    assert_eq!(page(&api, "en").await.0, StatusCode::UNAUTHORIZED);
    let shown = api.get("/status").send().await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK, "a key that may read");
    let page_of_a_reader = shown.text().await.unwrap();
    assert!(page_of_a_reader.contains("<h1>Status</h1>"), "{page_of_a_reader}");
    api.stop().await;
    let api = Api::start_with(stack, |config| config.http.status_page = true).await;
    for (language, well) in [
        ("en", "Everything works."),
        ("de", "Alles funktioniert."),
        ("fr", "Tout fonctionne."),
        ("es", "Todo funciona."),
        ("zh", "一切正常。"),
    ] {
        let (status, page) = page(&api, language).await;
        assert_eq!(status, StatusCode::OK);
        let main = page.split("<main>").nth(1).unwrap();
        assert!(main.contains(well) && main.matches("<li class=\"up\">").count() == 3 && !main.contains('{'), "{page}");
        assert_eq!(main.matches("<time ").count(), 4, "since when, and as of when: {page}");
    }
    api.stop().await;
}

async fn the_status_page_tells_no_number_of_any_tenant_and_asks_the_store_for_nobody(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.status_page = true).await;
    let before = page(&api, "en").await.1;
    for _ in 0..3 {
        api.submit_job().await;
    }
    // However often it is asked for, it shows what was seen last: a look every ten seconds, whoever asks.
    let mut pages = std::collections::BTreeSet::from([before]);
    let started = std::time::Instant::now();
    for _ in 0..50 {
        pages.insert(page(&api, "en").await.1);
    }
    assert!(pages.len() as u64 <= 2 + started.elapsed().as_secs() / 10, "{pages:?}");
    assert!(pages.iter().all(|page| !page.contains("acme") && !page.contains("numbers")), "{pages:?}");
    api.stop().await;
}
