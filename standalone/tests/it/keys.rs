use std::time::Duration;

use crate::service::{DEADLINE, Place, said};

#[tokio::test]
async fn a_key_works_until_it_is_revoked() {
    let place = Place::with_counting();
    let _service = place.up().await;
    let key = place.say(&["keys", "create", "--tenant", "acme", "--principal", "ana"]).await;
    let key = key.trim();
    assert!(key.starts_with("wl_"));
    assert!(place.say(&["jobs", "--key", key]).await.starts_with("No jobs."));

    let listed = place.say(&["keys", "list", "--tenant", "acme"]).await;
    assert!(!listed.contains(key), "a list never shows a key");
    let line = listed.lines().nth(1).unwrap();
    assert!(
        line.contains(&key[..10]) && line.contains("acme") && line.contains("read,write") && line.ends_with("works")
    );
    let id = line.split_whitespace().next().unwrap();
    place.say(&["keys", "revoke", id]).await;
    testing::eventually(DEADLINE, "the key is refused", async || {
        place.output(&["jobs", "--key", key]).await.status.code() == Some(1)
    })
    .await;
    assert!(place.say(&["keys", "list", "--tenant", "acme"]).await.contains("revoked"));
    let again = place.output(&["keys", "revoke", id]).await;
    assert!(said(&again).contains("or it was revoked before"), "{}", said(&again));
}

#[tokio::test]
async fn an_expired_key_is_refused_and_says_so() {
    let place = Place::with_counting();
    let _service = place.up().await;
    let key = place.say(&["keys", "create", "--expires", "1s"]).await;
    testing::eventually(Duration::from_secs(30), "the key expires", async || {
        place.say(&["keys", "list"]).await.contains("expired")
    })
    .await;
    let output = place.output(&["jobs", "--key", key.trim()]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("The API key has expired"), "{}", said(&output));
}

#[tokio::test]
async fn a_key_may_do_what_its_scopes_say_and_sees_its_own_tenant_only() {
    let place = Place::with_counting();
    let _service = place.up().await;
    place.say(&["run", "counting", "--out", "a.csv"]).await;
    let id = place.json(&["jobs"]).await["jobs"][0]["id"].as_str().unwrap().to_owned();

    let reader = place.say(&["keys", "create", "--scope", "read"]).await;
    let refused = place.output(&["run", "counting", "--key", reader.trim()]).await;
    assert!(said(&refused).contains("The API key lacks a scope"), "{}", said(&refused));
    let stranger = place.say(&["keys", "create", "--tenant", "other"]).await;
    let hidden = place.output(&["show", &id, "--key", stranger.trim()]).await;
    assert!(said(&hidden).contains("There is no such job"), "{}", said(&hidden));
}

#[tokio::test]
async fn migrating_brings_a_new_database_up_to_date_and_again_changes_nothing() {
    let place = Place::with_counting();
    for _ in 0..2 {
        assert!(place.say(&["migrate"]).await.starts_with("The database is up to date"));
    }
    place.say(&["keys", "create"]).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(place.path("data")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "the folder is for its owner only, whichever command made it");
}
