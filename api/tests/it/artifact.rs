//! Files of jobs, their receipts and their links.

use std::time::Duration;

use model::access::{hash_token, link_token};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::Scope;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, header, id_of, on_both_stacks, problem, steady};

on_both_stacks!(
    a_file_is_sent_whole_with_its_name_and_hash,
    a_range_of_a_file_is_sent,
    a_range_that_is_not_there_is_refused_and_one_that_makes_no_sense_ignored,
    a_file_that_has_not_changed_is_not_sent_again,
    a_head_request_tells_the_length_and_sends_nothing,
    a_file_that_is_not_there_is_named_as_such,
    a_receipt_says_what_is_known_and_hides_what_is_sensitive,
    a_link_works_any_number_of_times_without_a_key,
    a_revoked_link_is_gone_and_says_so,
    an_altered_link_leads_nowhere,
    an_expired_file_and_its_link_say_so,
    a_person_with_a_bad_link_gets_a_page,
    a_file_in_a_bucket_is_reached_by_a_signed_address,
    an_address_that_the_storage_signed_goes_on_after_the_key_has_ended,
);

const FILE: &[u8] = b"day,amount\r\n2026-01-31,1\r\n";

impl Api {
    async fn file(&self) -> String {
        let id = self.submit_job().await;
        self.finish(id, FILE).await;
        format!("/v1/jobs/{id}/artifacts/csv")
    }

    async fn link(&self, file: &str) -> String {
        let job = body(self.get(file.split_once("/artifacts").unwrap().0).send().await.unwrap()).await;
        job["artifacts"][0]["link"].as_str().unwrap().to_owned()
    }
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn a_file_is_sent_whole_with_its_name_and_hash(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let answer = send(api.get(&file)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type").unwrap(), "text/csv; charset=utf-8");
    assert_eq!(
        header(&answer, "content-disposition").unwrap(),
        "attachment; filename=\"Zahlen f_r Ana.csv\"; filename*=UTF-8''Zahlen%20f%C3%BCr%20Ana.csv"
    );
    assert_eq!(header(&answer, "x-content-type-options").unwrap(), "nosniff");
    assert_eq!(header(&answer, "accept-ranges").unwrap(), "bytes");
    assert_eq!(header(&answer, "content-length").unwrap(), FILE.len().to_string());
    let tag = header(&answer, "etag").unwrap();
    assert_eq!(answer.bytes().await.unwrap(), FILE);
    let receipt = body(send(api.get(&format!("{file}/receipt"))).await).await;
    assert_eq!(tag, format!("\"{}\"", receipt["sha256"].as_str().unwrap()));
    api.stop().await;
}

async fn a_range_of_a_file_is_sent(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let tag = header(&send(api.get(&file)).await, "etag").unwrap();
    for (range, expected, said) in [
        ("bytes=0-2", &FILE[..3], "bytes 0-2/26"),
        ("bytes=12-", &FILE[12..], "bytes 12-25/26"),
        ("bytes=-4", &FILE[22..], "bytes 22-25/26"),
        ("bytes=20-1000", &FILE[20..], "bytes 20-25/26"),
        ("bytes=-1000", FILE, "bytes 0-25/26"),
    ] {
        let answer = send(api.get(&file).header("range", range)).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-range").unwrap().as_str()),
            (206, said),
            "{range}"
        );
        assert_eq!(answer.bytes().await.unwrap(), expected, "{range}");
    }
    let same = send(api.get(&file).header("range", "bytes=0-2").header("if-range", &tag)).await;
    assert_eq!(same.status(), 206);
    let other = send(api.get(&file).header("range", "bytes=0-2").header("if-range", "\"other\"")).await;
    assert_eq!((other.status().as_u16(), other.bytes().await.unwrap().as_ref()), (200, FILE));
    api.stop().await;
}

async fn a_range_that_is_not_there_is_refused_and_one_that_makes_no_sense_ignored(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    for range in ["bytes=26-", "bytes=100-200", "bytes=-0"] {
        let answer = send(api.get(&file).header("range", range)).await;
        assert_eq!(header(&answer, "content-range").unwrap(), "bytes */26", "{range}");
        let (status, kind, _) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (416, "range-not-satisfiable"), "{range}");
    }
    for range in ["bytes=5-2", "rows=0-1", "bytes=0-1,3-4", "x"] {
        assert_eq!(send(api.get(&file).header("range", range)).await.status(), 200, "{range}");
    }
    api.stop().await;
}

async fn a_file_that_has_not_changed_is_not_sent_again(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let tag = header(&send(api.get(&file)).await, "etag").unwrap();
    assert_eq!(send(api.get(&file).header("if-none-match", tag)).await.status(), 304);
    api.stop().await;
}

async fn a_head_request_tells_the_length_and_sends_nothing(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    for path in [file.clone(), api.link(&file).await] {
        let answer = send(api.plain(Method::HEAD, &path).bearer_auth(&api.key)).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-length").unwrap().as_str()),
            (200, "26"),
            "{path}"
        );
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    api.stop().await;
}

async fn a_file_that_is_not_there_is_named_as_such(stack: Stack) {
    let api = Api::start(stack).await;
    let pending = format!("/v1/jobs/{}/artifacts/csv", api.submit_job().await);
    let file = api.file().await;
    for path in [pending, file.replace("csv", "jsonl"), file.replace("csv", "exe")] {
        let (status, kind, _) = problem(send(api.get(&path)).await).await;
        assert_eq!((status, kind.as_str()), (404, "artifact-not-found"), "{path}");
    }
    api.stop().await;
}

async fn a_receipt_says_what_is_known_and_hides_what_is_sensitive(stack: Stack) {
    let api = Api::start(stack).await;
    let asked = json!({"report": "numbers", "params": {"secret": "canary"}});
    let id = id_of(&body(api.submit(&asked).await).await);
    api.finish(id, FILE).await;
    let receipt = body(send(api.get(&format!("/v1/jobs/{id}/artifacts/csv/receipt"))).await).await;
    assert!(!receipt.to_string().contains("canary"));
    insta::assert_json_snapshot!("receipt", steady(&api, receipt));
    api.stop().await;
}

async fn a_link_works_any_number_of_times_without_a_key(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let link = api.link(&file).await;
    for _ in 0..3 {
        let answer = send(api.plain(Method::GET, &link)).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "referrer-policy").unwrap(), "no-referrer");
        assert_eq!(answer.bytes().await.unwrap(), FILE);
    }
    api.stop().await;
}

async fn a_revoked_link_is_gone_and_says_so(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let link = api.link(&file).await;
    let revoke = || api.post(&format!("{file}/revoke-link")).send();
    assert_eq!(body(revoke().await.unwrap()).await, json!({"revoked": true}));
    assert_eq!(body(revoke().await.unwrap()).await, json!({"revoked": false}));
    let (status, kind, _) = problem(send(api.plain(Method::GET, &link)).await).await;
    assert_eq!((status, kind.as_str()), (410, "link-revoked"));
    assert_eq!(send(api.get(&file)).await.status(), 200);
    api.stop().await;
}

async fn an_altered_link_leads_nowhere(stack: Stack) {
    let api = Api::start(stack).await;
    let file = api.file().await;
    let link = api.link(&file).await;
    let (base, token) = link.rsplit_once('/').unwrap();
    let swapped = if token.starts_with('A') { "B" } else { "A" };
    let foreign = link_token("another secret of more than 32 bytes", Uuid::new_v4());
    let hash = hex_of(&hash_token(token));
    for bad in [format!("{swapped}{}", &token[1..]), token[..42].to_owned(), format!("{token}x"), foreign, hash] {
        let (status, kind, _) = problem(send(api.plain(Method::GET, &format!("{base}/{bad}"))).await).await;
        assert_eq!((status, kind.as_str()), (404, "link-not-found"), "{bad}");
    }
    api.stop().await;
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn an_expired_file_and_its_link_say_so(stack: Stack) {
    let api = Api::start(stack).await;
    let id = id_of(&body(api.submit(&json!({"report": "fleeting"})).await).await);
    api.finish(id, FILE).await;
    let file = format!("/v1/jobs/{id}/artifacts/csv");
    let link = api.link(&file).await;
    testing::eventually(Duration::from_secs(10), "the link expires", async || {
        send(api.plain(Method::GET, &link)).await.status() == 410
    })
    .await;
    assert_eq!(problem(send(api.plain(Method::GET, &link)).await).await.1, "link-expired");
    let (status, kind, _) = problem(send(api.get(&file)).await).await;
    assert_eq!((status, kind.as_str()), (410, "artifact-expired"));
    assert_eq!(send(api.get(&format!("{file}/receipt"))).await.status(), 200);
    api.stop().await;
}

async fn a_person_with_a_bad_link_gets_a_page(stack: Stack) {
    let api = Api::start(stack).await;
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    let answer = send(api.plain(Method::GET, "/d/nothing").header("accept", accept)).await;
    assert_eq!(answer.status(), 404);
    assert_eq!(header(&answer, "content-type").unwrap(), "text/html; charset=utf-8");
    let page = answer.text().await.unwrap();
    assert!(page.contains("<h1>") && page.contains("whole address") && !page.contains("nothing"), "{page}");
    api.stop().await;
}

async fn an_address_that_the_storage_signed_goes_on_after_the_key_has_ended(stack: Stack) {
    let s3 = testing::s3::start().await.unwrap();
    let api = in_bucket(stack, &s3).await;
    let file = api.file().await;
    let (key, id) = api.make_key_for(&ana(), &[Scope::Read], None).await;
    let with_key = || api.plain(Method::GET, &file).bearer_auth(&key);
    let answer = send(with_key()).await;
    let signed = header(&answer, "location").unwrap();
    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    testing::eventually(Duration::from_secs(7), "the key opens nothing", async || {
        send(with_key()).await.status() == 401
    })
    .await;
    assert_eq!(send(api.plain(Method::GET, &signed)).await.bytes().await.unwrap(), FILE);
    api.stop().await;
}

/// Starts a gateway whose files are in a bucket.
async fn in_bucket(stack: Stack, s3: &testing::s3::S3) -> Api {
    let (url, endpoint) = (s3.url(), s3.endpoint());
    Api::start_with(stack, move |config| {
        config.storage.url = url;
        config.storage.endpoint = Some(endpoint);
        config.storage.region = Some(testing::s3::S3::REGION.to_owned());
        config.storage.access_key_id = Some(testing::s3::S3::ACCESS_KEY_ID.to_owned());
        config.storage.secret_access_key = Some(configuration::Secret::new(testing::s3::S3::SECRET_ACCESS_KEY));
    })
    .await
}

async fn a_file_in_a_bucket_is_reached_by_a_signed_address(stack: Stack) {
    let s3 = testing::s3::start().await.unwrap();
    let api = in_bucket(stack, &s3).await;
    let file = api.file().await;
    let mut signed = Vec::new();
    for request in [api.get(&file), api.plain(Method::GET, &api.link(&file).await)] {
        let answer = send(request).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "cache-control").unwrap().as_str()), (302, "no-store"));
        signed.push(header(&answer, "location").unwrap());
    }
    for address in signed {
        let fetched = send(api.plain(Method::GET, &address)).await;
        assert!(header(&fetched, "content-disposition").unwrap().starts_with("attachment"));
        assert_eq!(fetched.bytes().await.unwrap(), FILE);
    }
    let job: Value = body(send(api.get(file.split_once("/artifacts").unwrap().0)).await).await;
    assert!(!job.to_string().contains("X-Amz"), "a signed address belongs in redirects only");
    api.stop().await;
}
