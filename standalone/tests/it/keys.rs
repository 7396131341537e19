use std::time::Duration;

use crate::service::{DEADLINE, Sandbox, output_text};

#[tokio::test]
async fn a_key_works_until_it_is_revoked() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let key = sandbox.say(&["keys", "create", "--tenant", "acme", "--principal", "ana"]).await;
    let key = key.trim();
    assert!(key.starts_with("wl_"));
    assert!(sandbox.say(&["jobs", "--key", key]).await.starts_with("No jobs."));

    let listed = sandbox.say(&["keys", "list", "--tenant", "acme"]).await;
    assert!(!listed.contains(key), "a list never shows a key");
    let line = listed.lines().nth(1).unwrap();
    assert!(
        line.contains(&key[..10]) && line.contains("acme") && line.contains("read,write") && line.ends_with("works")
    );
    let id = line.split_whitespace().next().unwrap();
    sandbox.say(&["keys", "revoke", id]).await;
    testing::eventually(DEADLINE, "the key is refused", async || {
        sandbox.output(&["jobs", "--key", key]).await.status.code() == Some(1)
    })
    .await;
    assert!(sandbox.say(&["keys", "list", "--tenant", "acme"]).await.contains("revoked"));
    let again = sandbox.output(&["keys", "revoke", id]).await;
    assert!(output_text(&again).contains("or it was revoked before"), "{}", output_text(&again));
}

#[tokio::test]
async fn a_key_says_what_is_known_of_whoever_uses_it() {
    let sandbox = Sandbox::with_counting();
    let create = ["keys", "create", "--attribute", "region=EU", "--attribute", "customers=[4711, 4712]"];
    let made =
        sandbox.output(&[&create[..], &["--attribute", "zip=\"01234\"", "--attribute", "level=3"]].concat()).await;
    assert!(made.status.success(), "{}", output_text(&made));
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(said.contains("with the attributes customers, level, region, zip") && !said.contains("4711"), "{said}");
    let listed = sandbox.json(&["keys", "list"]).await;
    assert_eq!(listed["keys"][0]["attributes"], serde_json::json!(["customers", "level", "region", "zip"]));
    for (wrong, words) in [
        ("region", "write NAME=VALUE"),
        ("Region=EU", "lower-case letters"),
        ("ratio=0.5", "a whole number"),
        ("deep={\"a\": 1}", "a list of at most 200"),
    ] {
        let refused = sandbox.output(&["keys", "create", "--attribute", wrong]).await;
        assert!(!refused.status.success() && output_text(&refused).contains(words), "{}", output_text(&refused));
    }
    let twice = sandbox.output(&[&create[..], &["--attribute", "region=US"]].concat()).await;
    assert!(
        !twice.status.success() && output_text(&twice).contains("`region` is there twice"),
        "{}",
        output_text(&twice)
    );
    // A key of a file stays what it is.
    let file = sandbox.path("token");
    std::fs::write(&file, format!("wl_{}\n", "a".repeat(40))).unwrap();
    let of_file = [&create[..4], &["--key-file", file.to_str().unwrap()]].concat();
    sandbox.say(&of_file).await;
    sandbox.say(&of_file).await;
    let other = sandbox.output(&[&of_file[..], &["--attribute", "level=4"]].concat()).await;
    assert!(output_text(&other).contains("other attributes are known"), "{}", output_text(&other));
}

#[tokio::test]
async fn an_expired_key_is_refused_and_says_so() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let key = sandbox.say(&["keys", "create", "--expires", "1s"]).await;
    testing::eventually(Duration::from_secs(30), "the key expires", async || {
        sandbox.say(&["keys", "list"]).await.contains("expired")
    })
    .await;
    let output = sandbox.output(&["jobs", "--key", key.trim()]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output_text(&output).contains("The API key has expired"), "{}", output_text(&output));
}

#[tokio::test]
async fn a_key_may_do_what_its_scopes_say_and_sees_its_own_tenant_only() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    sandbox.say(&["run", "counting", "--out", "a.csv"]).await;
    let id = sandbox.json(&["jobs"]).await["jobs"][0]["id"].as_str().unwrap().to_owned();

    let reader = sandbox.say(&["keys", "create", "--scope", "read"]).await;
    let refused = sandbox.output(&["run", "counting", "--key", reader.trim()]).await;
    assert!(output_text(&refused).contains("The API key lacks a scope"), "{}", output_text(&refused));
    let stranger = sandbox.say(&["keys", "create", "--tenant", "other"]).await;
    let hidden = sandbox.output(&["show", &id, "--key", stranger.trim()]).await;
    assert!(output_text(&hidden).contains("There is no such job"), "{}", output_text(&hidden));
}

#[tokio::test]
async fn a_key_has_roles_of_the_configuration_and_is_listed_with_them() {
    let sandbox = Sandbox::with_counting();
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    let roles = "[roles.analyst]\nscopes = [\"read\", \"write\"]\nreports = [\"count*\"]\n[roles.clerk]\nreports = [\"orders\"]\n";
    sandbox.write("waitless.toml", &format!("{settings}\n{roles}"));
    let _service = sandbox.up().await;
    let unknown = sandbox.output(&["keys", "create", "--role", "boss", "--role", "analyst"]).await;
    assert!(output_text(&unknown).contains("no role boss; it has: analyst, clerk"), "{}", output_text(&unknown));

    let analyst = sandbox.say(&["keys", "create", "--principal", "ana", "--role", "analyst"]).await;
    assert!(sandbox.say(&["reports", "--key", analyst.trim()]).await.contains("counting"));
    sandbox.say(&["run", "counting", "--out", "a.csv", "--key", analyst.trim()]).await;
    let listed = sandbox.json(&["keys", "list"]).await;
    let ana = listed["keys"].as_array().unwrap().iter().find(|key| key["principal"] == "ana").unwrap();
    assert_eq!((&ana["scopes"], &ana["roles"]), (&serde_json::json!([]), &serde_json::json!(["analyst"])));
    assert!(sandbox.say(&["keys", "list"]).await.contains("role:analyst"));

    let clerk = sandbox.say(&["keys", "create", "--role", "clerk", "--scope", "read", "--scope", "write"]).await;
    let hidden = sandbox.output(&["run", "counting", "--key", clerk.trim()]).await;
    assert!(output_text(&hidden).contains("There is no such report"), "{}", output_text(&hidden));
}

#[tokio::test]
async fn migrating_brings_a_new_database_up_to_date_and_again_changes_nothing() {
    let sandbox = Sandbox::with_counting();
    for _ in 0..2 {
        assert!(sandbox.say(&["migrate"]).await.starts_with("The database is up to date"));
    }
    sandbox.say(&["keys", "create"]).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(sandbox.path("data")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "the folder is for its owner only, whichever command made it");
}

#[tokio::test]
async fn a_key_that_others_read_from_a_file_is_made_once_and_left_as_it_is() {
    let sandbox = Sandbox::with_counting();
    let _service = sandbox.up().await;
    let file = sandbox.path("token");
    let file = file.to_str().unwrap();
    let create = ["keys", "create", "--principal", "autoscaler", "--scope", "backlog", "--key-file", file];
    std::fs::write(file, "a password\n").unwrap();
    let refused = sandbox.output(&create).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(output_text(&refused).contains("openssl rand -hex 32"), "{}", output_text(&refused));

    let key = format!("wl_{}", "0123456789abcdef".repeat(4));
    std::fs::write(file, format!("{key}\n")).unwrap();
    for _ in 0..2 {
        assert_eq!(sandbox.say(&create).await, "", "whoever drew the key has it, and nobody else is shown it");
    }
    let listed = sandbox.json(&["keys", "list"]).await;
    let made = listed["keys"].as_array().unwrap().iter().filter(|key| key["principal"] == "autoscaler");
    assert_eq!(made.count(), 1);
    let refused = sandbox.output(&["jobs", "--key", &key]).await;
    assert!(output_text(&refused).contains("The API key lacks a scope"), "{}", output_text(&refused));

    let other = sandbox.output(&["keys", "create", "--key-file", file]).await;
    assert!(output_text(&other).contains("of autoscaler of tenant default"), "{}", output_text(&other));
    let id =
        listed["keys"].as_array().unwrap().iter().find(|key| key["principal"] == "autoscaler").unwrap()["id"].clone();
    sandbox.say(&["keys", "revoke", id.as_str().unwrap()]).await;
    let revoked = sandbox.output(&create).await;
    assert!(output_text(&revoked).contains("put another key into the file"), "{}", output_text(&revoked));
}

#[tokio::test]
async fn a_container_runtime_is_told_whether_a_service_is_ready() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    assert_eq!(sandbox.say(&["ready"]).await, "It is ready.\n");
    assert_eq!(sandbox.json(&["ready", "--url", &service.address]).await["ready"], true);
    let nobody = sandbox.output(&["ready", "--url", "http://127.0.0.1:9"]).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(output_text(&nobody).contains("127.0.0.1:9/readyz"), "{}", output_text(&nobody));
}
