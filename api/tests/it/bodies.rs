//! Bodies of requests: what is ambiguous, encoded or overdone.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::{Api, Stack, body, header, id_of, on_both_stacks, problem};

on_both_stacks!(
    a_body_that_says_something_twice_is_refused_by_every_route,
    an_encoded_body_is_refused_with_what_is_understood,
    a_body_of_nothing_but_unknown_names_is_answered_with_a_hundred_of_them,
    an_international_address_is_written_to_in_ascii_or_refused_with_the_reason,
);

async fn a_body_that_says_something_twice_is_refused_by_every_route(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    for (path, text, pointer) in [
        ("/v1/jobs", r#"{"report": "numbers", "report": "numbers"}"#, "/report"),
        ("/v1/jobs", r#"{"report": "numbers", "params": {"amount": 1, "am\u006funt": 100}}"#, "/params/amount"),
        (
            "/v1/jobs",
            r#"{"report": "numbers", "notify": [{"channel": "email", "to": "a@b.c", "to": "a@b.c"}]}"#,
            "/notify/0/to",
        ),
        (&format!("/v1/jobs/{id}/formats"), r#"{"formats": ["csv"], "formats": ["jsonl"]}"#, "/formats"),
        ("/v1/admin/dead-letters/replay", r#"{"jobs": [], "jobs": []}"#, "/jobs"),
        ("/v1/session", r#"{"key": "wl_a", "key": "wl_b"}"#, "/key"),
    ] {
        let request = api.post(path).header("content-type", "application/json").body(text);
        let (status, kind, said) = problem(request.send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid-body"), "{path} {text}");
        assert_eq!(said["errors"], json!([{"pointer": pointer, "detail": "is there twice"}]));
    }
    assert_eq!(body(api.get("/v1/jobs").send().await.unwrap()).await["jobs"].as_array().unwrap().len(), 1);
    api.stop().await;
}

async fn an_encoded_body_is_refused_with_what_is_understood(stack: Stack) {
    let api = Api::start(stack).await;
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        let request =
            api.post("/v1/jobs").header("content-type", "application/json").header("content-encoding", encoding);
        let answer = request.body(b"\x1f\x8b\x08".to_vec()).send().await.unwrap();
        assert_eq!(header(&answer, "accept-encoding").as_deref(), Some("identity"), "{encoding}");
        let (status, kind, _) = problem(answer).await;
        assert_eq!((status, kind.as_str()), (415, "unsupported-media-type"), "{encoding}");
    }
    let plain = api.post("/v1/jobs").header("content-encoding", "identity").json(&json!({"report": "numbers"}));
    assert_eq!(plain.send().await.unwrap().status(), 202);
    api.stop().await;
}

async fn a_body_of_nothing_but_unknown_names_is_answered_with_a_hundred_of_them(stack: Stack) {
    let api = Api::start(stack).await;
    let names =
        |count: usize| (0..count).map(|n| (format!("unknown_{n}"), json!(1))).collect::<serde_json::Map<_, _>>();
    let top = Value::Object(names(10_000));
    let inside = json!({"report": "numbers", "params": names(10_000)});
    let long = json!({"report": "numbers", "x".repeat(200_000): 1, "params": {"day": "9".repeat(50_000)}});
    let listed = json!({"report": "nothing", "formats": names(1), "notify": names(1), "reuse": names(9_000)});
    for (asked, count) in [(top, 10_001), (inside, 10_000), (long, 2), (listed, 9_004)] {
        let answer = api.submit(&asked).await;
        let status = answer.status().as_u16();
        assert!(matches!(status, 404 | 422), "{status}");
        let said = answer.text().await.unwrap();
        assert!(said.len() < 64 << 10, "{} bytes", said.len());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["errors"].as_array().unwrap().len(), count.min(100));
        if count > 100 && status == 422 {
            assert_eq!(said["detail"], format!("{count} fields are not valid; `errors` names the first 100."));
        }
    }
    api.stop().await;
}

async fn an_international_address_is_written_to_in_ascii_or_refused_with_the_reason(stack: Stack) {
    let api = Api::start_with(stack, |config| config.mail.allow = vec!["@b\u{fc}cher.example".to_owned()]).await;
    let to = |address: &str| json!({"report": "numbers", "notify": [{"channel": "email", "to": address}]});
    let accepted = api.submit(&to("ana@B\u{fc}cher.example")).await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert_eq!(api.job(id_of(&body(accepted).await)).await.notify[0].to, "ana@xn--bcher-kva.example");
    let (status, _, said) = problem(api.submit(&to("\u{e4}na@b\u{fc}cher.example")).await).await;
    let reason = said["errors"][0]["detail"].as_str().unwrap();
    assert!(status == 422 && reason.contains("beyond ASCII before the @"), "{said}");
    api.stop().await;
}

/// Sends the beginning of a request and reads the answer to its end.
async fn begin(api: &Api, text: &str) -> String {
    let mut connection = tokio::net::TcpStream::connect(api.url.strip_prefix("http://").unwrap()).await.unwrap();
    connection.write_all(text.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let reading = connection.read_to_end(&mut said);
    tokio::time::timeout(std::time::Duration::from_secs(60), reading).await.expect("an end in time").unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_arrive_in_time_is_told_so() {
    let api = Api::start(Stack::Embedded).await;
    let head =
        format!("POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n", api.key);
    let body = format!("{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{");
    let (head, body) = tokio::join!(begin(&api, &head), begin(&api, &body));
    assert!(head.starts_with("HTTP/1.1 408") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("problems/request-timed-out"), "{body}");
    api.stop().await;
}
