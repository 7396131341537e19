//! Our own binaries as tests start, stop and kill them.

use std::time::Duration;

use testing::process::{Builder, binary};

/// With the one setting that a gateway of its own does not start without.
fn gateway() -> Builder {
    binary("api").env("WAITLESS_SERVICE__LINK_SECRET", "0123456789abcdef0123456789abcdef")
}

#[tokio::test]
async fn a_process_becomes_ready_and_stops_when_asked() {
    let mut gateway = gateway().start_ready().await.unwrap();
    assert!(gateway.resident_bytes().unwrap() > 1_000_000);
    gateway.freeze().unwrap();
    gateway.thaw().unwrap();
    gateway.terminate().unwrap();
    let ended = gateway.wait(Duration::from_secs(60)).await.unwrap();
    assert!(ended.success(), "{ended}: {}", gateway.log());
}

#[tokio::test]
async fn a_process_that_cannot_start_says_why() {
    let error = binary("api").env("WAITLESS_HTTP__MAX_BODY", "big").start_ready().await.unwrap_err().to_string();
    assert!(error.contains("before it was ready") && error.contains("http.max_body"), "{error}");
}

#[tokio::test]
async fn a_killed_process_is_gone_at_once() {
    let mut gateway = gateway().start_ready().await.unwrap();
    gateway.kill();
    let error = gateway.wait_until_ready(Duration::from_secs(5)).await.unwrap_err().to_string();
    assert!(error.contains("signal: 9"), "{error}");
}
