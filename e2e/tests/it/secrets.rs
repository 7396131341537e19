//! Secrets, tokens, signed URLs and sensitive parameters stay where they belong: a canary in each place, and a scan of everything
//! that is said.

use std::sync::{Arc, Mutex};

use model::job::{Job, JobState};
use model::message::Queue;
use serde_json::{Value, json};
use testing::process::Process;
use testing::s3::S3;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::client::confidential;
use crate::rabbitmq::ServerChoice;
use crate::stack::{Stack, metrics_of};

const PARAMETER: &str = "canary-parameter";
const LINK_SECRET: &str = "canary-link-secret-0123456789abcdef";
/// The user of the broker, who belongs to the server and not to the virtual host.
const BROKER_USER: &str = "/api/users/canary";
/// Queue of the test that gets a copy of every message.
const SPY: &str = "/api/queues/{vhost}/spy";

/// Takes traces as a collector does, and keeps the bytes: texts stand in them as they are.
struct Collector {
    port: u16,
    taken: Arc<Mutex<Vec<u8>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, taken) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<u8>>>::default());
        let noted = Arc::clone(&taken);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&noted)));
            }
        });
        Self { port, taken, accepting }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap()).into_owned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers one request: whatever comes until its announced length.
async fn take(mut stream: TcpStream, taken: Arc<Mutex<Vec<u8>>>) {
    let (mut request, mut chunk) = (Vec::new(), [0_u8; 16_384]);
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let body_at = request.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        if request.len() >= body_at + length.unwrap_or(0) {
            taken.lock().unwrap().extend_from_slice(&request);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _gone = stream.write_all(answer).await;
            return;
        }
    }
}

/// Starts a system with a canary as every secret it is given, and everything it can log turned on.
async fn start(s3: &S3, collector: &Collector) -> Stack {
    let settings = vec![
        ("WAITLESS_TELEMETRY__LOG", "debug".to_owned()),
        ("WAITLESS_TELEMETRY__OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.port)),
        ("WAITLESS_SERVICE__LINK_SECRET", LINK_SECRET.to_owned()),
        ("WAITLESS_STORAGE__URL", s3.url()),
        ("WAITLESS_STORAGE__ENDPOINT", s3.endpoint()),
        ("WAITLESS_STORAGE__REGION", S3::REGION.to_owned()),
        ("WAITLESS_STORAGE__ACCESS_KEY_ID", S3::ACCESS_KEY_ID.to_owned()),
        ("WAITLESS_STORAGE__SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY.to_owned()),
    ];
    let mut stack = Stack::prepare(ServerChoice::SharedServer, settings).await;
    for user in ["canary_store", "canary_source"] {
        let role = format!("create role {user} superuser login password '{user}-password'");
        stack.postgres.sql(&role).await.unwrap();
    }
    for (name, user) in [("WAITLESS_DATABASE__URL", "canary_store"), ("WAITLESS_SOURCES__SERVER__URL", "canary_source")]
    {
        let url = stack.postgres.url();
        stack.set(name, with_credentials(&url, &format!("{user}:{user}-password")));
    }
    let user = json!({"password": "canary-broker-password", "tags": ""});
    let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
    stack.rabbitmq.manage("PUT", BROKER_USER, Some(&user)).await.unwrap();
    stack.rabbitmq.manage("PUT", "/api/permissions/{vhost}/canary", Some(&everything)).await.unwrap();
    let (broker, mail) = (stack.rabbitmq.url(), stack.smtp.url());
    stack.set("WAITLESS_BROKER__URL", with_credentials(&broker, "canary:canary-broker-password"));
    stack.set("WAITLESS_MAIL__URL", with_credentials(&mail, "canary:canary-mail-password"));
    stack.add_gateway().await;
    copy_every_message(&stack).await;
    stack.add_worker().await;
    stack.add_notifier().await;
    stack
}

/// Puts user and password into a URL, in place of those it has.
fn with_credentials(url: &str, credentials: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{credentials}@{host}{path}")
}

/// Binds a queue of the test to every exchange of the system.
async fn copy_every_message(stack: &Stack) {
    stack.rabbitmq.manage("PUT", SPY, Some(&json!({"durable": true}))).await.unwrap();
    let exchanges = stack.rabbitmq.manage("GET", "/api/exchanges/{vhost}?columns=name", None).await.unwrap();
    let names: Vec<_> = exchanges.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    let ours: Vec<_> = names.into_iter().filter(|name| name.starts_with("waitless.")).collect();
    assert!(ours.len() > 3, "{ours:?}");
    for exchange in ours {
        for key in Queue::ALL.map(Queue::routing_key).iter().map(String::as_str).chain(["#"]) {
            let path = format!("/api/bindings/{{vhost}}/e/{exchange}/q/spy");
            stack.rabbitmq.manage("POST", &path, Some(&json!({"routing_key": key}))).await.unwrap();
        }
    }
}

/// Everything this secret may stand in.
fn check(secrets: &[String], place: &str, text: &str) {
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{place} holds `{secret}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_token_signed_url_or_sensitive_parameter_is_told_to_anybody_it_is_not_for() {
    let (s3, collector) = (testing::s3::start().await.unwrap(), Collector::start().await);
    let mut stack = start(&s3, &collector).await;
    let done = stack.client.submit(&confidential("confidential", PARAMETER).with_mail()).await;
    let failed = confidential("confidential-fails", PARAMETER).with_mail().that_ends(JobState::Failed);
    let failed = stack.client.submit(&failed).await;
    let (done, failed) = (stack.wait_for(done, JobState::Done).await, stack.wait_for(failed, JobState::Failed).await);
    for operation in stack.client.operations() {
        let recipient = operation.recipient.unwrap();
        testing::eventually(crate::stack::SOON, "the mail", async || stack.smtp.mails_to(&recipient).len() == 1).await;
    }
    assert!(stack.smtp.logins().iter().all(|login| login == "canary:canary-mail-password"));
    assert!(!stack.smtp.logins().is_empty());

    let mut secrets: Vec<String> = ["canary_store-password", "canary_source-password", "canary-broker-password"]
        .into_iter()
        .chain(["canary-mail-password", LINK_SECRET, PARAMETER, S3::SECRET_ACCESS_KEY])
        .map(str::to_owned)
        .collect();
    secrets.push(stack.client.key.clone());
    // What callers and readers are told may hold links, which are for them, but nothing else.
    for job in [&done, &failed] {
        check(&secrets, "a job", &read(&stack, job.id, "").await);
        check(&secrets, "the events of a job", &read(&stack, job.id, "/events").await);
    }
    let rows = dump(&stack).await;
    assert!(rows.contains("$sealed") && rows.contains(&done.id.to_string()), "nothing was read");
    check(&[PARAMETER.to_owned()], "the database", &rows);
    stack.smtp.mails().iter().for_each(|mail| {
        check(&secrets, "a mail", &format!("{}\n{}\n{}", mail.source, mail.text(), mail.html()));
    });
    secrets.extend(use_links(&stack, &done).await);
    let messages = stack.rabbitmq.manage("POST", &format!("{SPY}/get"), Some(&everything())).await.unwrap();
    assert!(messages.as_array().unwrap().len() >= 6, "{messages}");
    check(&secrets, "a message", &serde_json::to_string_pretty(&messages).unwrap());
    let mut processes: Vec<Process> = Vec::new();
    processes.append(&mut stack.gateways);
    processes.append(&mut stack.workers);
    processes.append(&mut stack.notifiers);
    for mut process in processes {
        check(&secrets, "a metric", &metrics_of(&process).await);
        // Ends in order, so that its last traces are sent and its last words logged.
        process.terminate().unwrap();
        process.wait(std::time::Duration::from_secs(30)).await.unwrap();
        let log = process.log();
        assert!(log.contains("DEBUG"), "nothing was logged: {log}");
        check(&secrets, "a log", &log);
    }
    let traces = collector.text();
    assert!(traces.contains("/v1/traces") && traces.contains(&done.id.to_string()), "no trace of the job was sent");
    check(&secrets, "a trace", &traces);
    stack.rabbitmq.manage("DELETE", BROKER_USER, None).await.unwrap();
}

/// Returns every row of every table, one a line.
async fn dump(stack: &Stack) -> String {
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables \
                  where schemaname not in ('pg_catalog', 'information_schema')";
    let tables = stack.postgres.sql(tables).await.unwrap();
    let all: Vec<_> = tables.iter().map(|row| format!("select t::text from {} t", row[0].as_ref().unwrap())).collect();
    assert!(all.len() > 10, "{all:?}");
    let rows = stack.postgres.sql(&all.join(";")).await.unwrap();
    rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n")
}

async fn read(stack: &Stack, id: Uuid, what: &str) -> String {
    stack.client.get(&format!("/v1/jobs/{id}{what}")).await.text().await.unwrap()
}

/// Follows the link and the file of a job, and returns the token and the signatures, which nobody else may learn.
async fn use_links(stack: &Stack, job: &Job) -> Vec<String> {
    let shown: Value = stack.client.get(&format!("/v1/jobs/{}", job.id)).await.json().await.unwrap();
    let link = shown["artifacts"][0]["link"].as_str().unwrap();
    let token = link.rsplit_once('/').unwrap().1.to_owned();
    let mut found = vec![token.clone()];
    for path in [format!("/d/{token}"), format!("/v1/jobs/{}/artifacts/csv", job.id)] {
        let answer = stack.client.get(&path).await;
        let Some(location) = answer.headers().get("location") else {
            assert!(answer.status().is_success(), "{path}: {answer:?}");
            continue;
        };
        let signed = location.to_str().unwrap();
        let signature = signed.split(['?', '&']).find_map(|part| part.strip_prefix("X-Amz-Signature=")).unwrap();
        found.push(signature.to_owned());
    }
    assert!(found.len() > 1, "no signed URL was given out");
    found
}

fn everything() -> Value {
    json!({"count": 10_000, "ackmode": "ack_requeue_false", "encoding": "auto"})
}
