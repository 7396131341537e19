//! The API is called in every way that its document allows, and in many that it does not, by every kind of key: each answer has a
//! status, media type and shape that the document has, nothing valid is refused, and nothing breaks.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use model::access::link_token;
use store::Scope;
use tokio::process::Command;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, caller};

/// Streams have no end, and are held by `lifetimes` and `access`.
const STREAMS: &str = "/(events|ws)$";

/// Seconds that one kind of caller takes at most.
const BUDGET: &str = "20";

/// Writes what the tool cannot know: there is one job to look at, a cursor is good only for the query it came from, which parameters
/// a report takes stands in its own schema, a lane and a tenant that can be paused have names of their own, and an `Idempotency-Key` that came with another body is refused, for which short ones that
/// are made up are now and then the same.
fn write_settings(folder: &Path, job: Uuid, token: &str) {
    let lists =
        ["GET /v1/jobs", "GET /v1/admin/dead-letters", "GET /v1/admin/audit", "GET /v1/schedules", "GET /v1/schedules/upcoming"].map(|name| {
        format!(
            "[[operations]]\ninclude-name = \"{name}\"\nchecks.positive_data_acceptance.expected-statuses = [\"2xx\", 400, 401, 403]\n"
        )
    });
    let params = [
        "POST /v1/jobs",
        "POST /v1/jobs/{id}/formats",
        "POST /v1/tokens",
        "POST /v1/schedules",
        "POST /v1/schedules/preview",
        "POST /v1/admin/pauses",
        "DELETE /v1/admin/pauses",
    ]
    .map(|name| {
        format!(
            "[[operations]]\ninclude-name = \"{name}\"\n\
             checks.positive_data_acceptance.expected-statuses = [\"2xx\", 401, 403, 404, 409, 422, 429]\n"
        )
    });
    let settings = format!(
        "[parameters]\n\"path.token\" = \"{token}\"\n\n\
         [[operations]]\ninclude-method = \"GET\"\n\
         parameters = {{ \"path.id\" = \"{job}\", \"path.name\" = \"numbers\", \"path.format\" = \"csv\" }}\n\n{}",
        [&lists[..], &params[..]].concat().join("\n")
    );
    std::fs::write(folder.join("schemathesis.toml"), settings).unwrap();
}

async fn call(api: &Api, folder: &Path, key: Option<&str>) -> Output {
    let mut command = Command::new(testing::readers::callers_python().unwrap());
    command.args(["-m", "schemathesis.cli", "run", &format!("{}/openapi.json", api.url)]);
    command.args(["--exclude-path-regex", STREAMS, "--max-examples", "5", "--phases", "examples,coverage,fuzzing"]);
    command.args([
        "--max-time",
        BUDGET,
        "--request-timeout",
        "10",
        "--continue-on-failure",
        "--no-color",
        "--seed",
        "7",
    ]);
    command.args(["--generation-database", "none", "--max-redirects", "0"]);
    if let Some(key) = key {
        command.args(["--header", &format!("Authorization: Bearer {key}")]);
    }
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(90), command.output()).await.expect("it ends in time").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_document_allows_is_answered_as_it_says_to_every_kind_of_caller() {
    let api = Api::start(Stack::Embedded).await;
    let job = api.submit_job().await;
    api.finish(job, b"a\r\n1\r\n").await;
    let folder = tempfile::tempdir().unwrap();
    // Of somebody whose links none of the callers can revoke.
    let ben = api.make_key(&caller("acme", "ben"), &[Scope::Read, Scope::Write]).await;
    let bens = api.submit_as(&ben).await;
    let made = api.finish(bens, b"a\r\n1\r\n").await;
    let token = link_token(api.config.service.link_secret.expose(), made.artifacts[0].link_id);
    write_settings(folder.path(), job, &token);
    let mut keys = vec![(String::from("nobody"), None)];
    for (name, scopes) in [("admin", &Scope::ALL[..]), ("writer", &[Scope::Write]), ("reader", &[Scope::Read])] {
        keys.push((name.to_owned(), Some(api.make_key(&ana(), scopes).await)));
    }
    let calls = keys.iter().map(|(_, key)| call(&api, folder.path(), key.as_deref()));
    for ((name, _), output) in keys.iter().zip(futures_util::future::join_all(calls).await) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {name}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("Test cases:"), "nothing was called as {name}: {said}");
    }
    api.stop().await;
}
