//! Processes that start or stop while something they need is away, or does not answer.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use model::job::JobState;
use testing::eventually;
use testing::process::Process;
use testing::s3::S3;

use crate::client::{Answer, quick};
use crate::rabbitmq::ServerChoice;
use crate::stack::{SOON, Stack};

/// Every service.
const SERVICES: [&str; 3] = ["api", "report-worker", "notifier"];
/// A process that has nothing to finish ends within this time, on two busy cores.
const AT_ONCE: Duration = Duration::from_secs(8);

async fn status(process: &Process, path: &str) -> Result<u16, String> {
    let answer = reqwest::get(format!("{}{path}", process.url())).await.map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

async fn prepare() -> Stack {
    Stack::prepare(ServerChoice::SharedServer, Vec::new()).await
}

async fn start_all(stack: &Stack) -> Vec<Process> {
    let mut started = Vec::new();
    for name in SERVICES {
        started.push(stack.process(name).start().await.unwrap());
    }
    started
}

/// The lines that say why a process ended.
fn last_words(process: &Process) -> Vec<String> {
    process.log().lines().filter(|line| line.starts_with("Error:")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_while_the_database_is_away_answer_and_recover_by_themselves() {
    let mut stack = prepare().await;
    stack.postgres.stop().await.unwrap();
    let mut started = start_all(&stack).await;
    for process in &started {
        eventually(SOON, "it lives", async || status(process, "/livez").await == Ok(200)).await;
        assert_eq!(status(process, "/readyz").await, Ok(503), "and is not ready");
    }
    stack.client.use_gateways(vec![started[0].url()]);
    let wish = quick().with_mail();
    let place = stack.client.note(&wish);
    let answer = stack.client.try_once(place, &wish, None).await;
    assert!(matches!(answer, Answer::Unavailable(Some(1..=60))), "{answer:?}");
    stack.postgres.start_again().await.unwrap();
    for process in &mut started {
        process.wait_until_ready(SOON).await.unwrap();
    }
    let mut started = started.into_iter();
    stack.gateways.extend(started.next());
    stack.workers.extend(started.next());
    stack.notifiers.extend(started.next());
    stack.client.submit_many(5, &wish).await;
    eventually(SOON, "the first submit is accepted", async || match stack.client.try_once(place, &wish, None).await {
        Answer::Accepted(id) => Ok(id),
        other => Err(format!("{other:?}")),
    })
    .await;
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_while_the_storage_is_away_say_so_take_jobs_and_recover_by_themselves() {
    let mut stack = prepare().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (name, value) in [
        ("URL", format!("s3://{}", S3::BUCKET)),
        ("ENDPOINT", format!("http://127.0.0.1:{port}")),
        ("REGION", S3::REGION.to_owned()),
        ("ACCESS_KEY_ID", S3::ACCESS_KEY_ID.to_owned()),
        ("SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY.to_owned()),
    ] {
        stack.set(&format!("WAITLESS_STORAGE__{name}"), value);
    }
    // Longer than it takes to see the first failure, and to start the storage.
    stack.set("WAITLESS_BROKER__RETRY_DELAYS", "4s".to_owned());
    let mut started = start_all(&stack).await;
    for process in &started {
        eventually(SOON, "it lives", async || status(process, "/livez").await == Ok(200)).await;
        let told = "starting without the storage: jobs are accepted, and their files wait until it answers";
        eventually(SOON, "it says so", async || process.log().contains(told)).await;
        let warned = process.log().lines().filter(|line| line.contains("may have mail sent to anybody")).count();
        assert_eq!(warned, 1, "the settings let mail go to anybody: {}", process.log());
    }
    assert_eq!(status(&started[0], "/readyz").await, Ok(200), "a gateway is of use without files");
    for worker_or_notifier in &started[1..] {
        assert_eq!(status(worker_or_notifier, "/readyz").await, Ok(503));
    }
    stack.client.use_gateways(vec![started[0].url()]);
    let id = stack.client.submit(&quick().with_mail()).await;
    stack.wait_for(id, JobState::Retrying).await;
    let _bucket = testing::s3::start_on(port).await.unwrap();
    stack.wait_for(id, JobState::Done).await;
    for process in &mut started {
        process.wait_until_ready(SOON).await.unwrap();
        eventually(SOON, "it says so", async || process.log().contains("the storage answers")).await;
    }
    eventually(SOON, "the mail", async || !stack.smtp.mails().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_wait_for_a_database_that_is_away() {
    let mut stack = prepare().await;
    let empty = stack.postgres.create_database("empty").await.unwrap();
    stack.set("WAITLESS_DATABASE__URL", empty.clone());
    stack.postgres.stop().await.unwrap();
    let mut gateway = stack.process("api").start().await.unwrap();
    eventually(SOON, "it lives", async || status(&gateway, "/livez").await == Ok(200)).await;
    stack.postgres.start_again().await.unwrap();
    gateway.wait_until_ready(SOON).await.unwrap();
    let tables = testing::postgres::sql(&empty, "select count(*) from jobs").await.unwrap();
    assert_eq!(tables, [[Some("0".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_mend_ends_a_process_with_one_line_at_once_or_when_it_turns_out() {
    let mut stack = prepare().await;
    let right = stack.postgres.url();
    let stranger = right.replace("waitless@", "stranger@");
    stack.set("WAITLESS_DATABASE__URL", stranger);
    for process in &mut start_all(&stack).await {
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
        let said = last_words(process);
        assert!(said.len() == 1 && said[0].contains("\"stranger\" does not exist"), "{said:?}");
    }
    // The same, found out later.
    stack.postgres.stop().await.unwrap();
    let mut gateway = stack.process("api").start().await.unwrap();
    eventually(SOON, "it lives", async || status(&gateway, "/livez").await == Ok(200)).await;
    stack.postgres.start_again().await.unwrap();
    assert_eq!(gateway.wait(SOON).await.unwrap().code(), Some(1));
    assert_eq!(last_words(&gateway).len(), 1, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_on_an_older_schema_wait_for_the_migration_and_say_so() {
    let mut stack = prepare().await;
    let empty = stack.postgres.create_database("empty").await.unwrap();
    stack.set("WAITLESS_DATABASE__URL", empty);
    stack.set("WAITLESS_DATABASE__MIGRATE", "false".to_owned());
    let mut started = start_all(&stack).await;
    let readiness = async |process: &Process| {
        let answer = reqwest::get(format!("{}/readyz", process.url())).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((answer.status().as_u16(), answer.text().await.map_err(|error| error.to_string())?))
    };
    for (process, names_it) in started.iter().zip(["\"outdated\"", "run `waitless migrate` first", "waitless migrate"])
    {
        eventually(SOON, "it says what it waits for", async || match readiness(process).await {
            Ok((503, said)) if said.contains(names_it) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert_eq!(status(process, "/livez").await, Ok(200));
        assert!(process.log().contains("run `waitless migrate` first"), "{}", process.log());
    }
    let mut migration = stack.process("waitless").arg("migrate").start().await.unwrap();
    assert_eq!(migration.wait(SOON).await.unwrap().code(), Some(0), "{}", migration.log());
    for process in &mut started {
        process.wait_until_ready(SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_while_the_broker_is_away_run_jobs_once_it_is_back() {
    let own = ServerChoice::OwnServer(testing::rabbitmq::Options::default());
    let mut stack = Stack::prepare(own, Vec::new()).await;
    stack.rabbitmq.server_mut().stop().await.unwrap();
    let mut started = start_all(&stack).await;
    for process in &started {
        eventually(SOON, "it lives", async || status(process, "/livez").await == Ok(200)).await;
    }
    stack.client.use_gateways(vec![started[0].url()]);
    stack.client.submit_many(3, &quick().with_mail()).await;
    stack.rabbitmq.server_mut().start_again().await.unwrap();
    for process in &mut started {
        process.wait_until_ready(SOON).await.unwrap();
    }
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_to_stop_ends_with_0_whatever_it_waits_for() {
    let mut stack = prepare().await;
    // A server that takes connections and never says anything.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    stack.set("WAITLESS_DATABASE__URL", format!("postgres://waitless@{}/waitless", silent.local_addr().unwrap()));
    for process in &mut start_all(&stack).await {
        eventually(SOON, "it lives", async || status(process, "/livez").await == Ok(200)).await;
        process.terminate().unwrap();
        assert_eq!(process.wait(AT_ONCE).await.unwrap().code(), Some(0), "{}", process.log());
    }
    // Not even its settings can be read.
    let folder = tempfile::tempdir().unwrap();
    let pipe = make_pipe(&folder.path().join("config.toml"));
    for name in SERVICES {
        let mut process = stack.process(name).arg("--config").arg(&pipe).start().await.unwrap();
        eventually(SOON, "it hears signals", async || hears_signals(&process)).await;
        process.terminate().unwrap();
        assert_eq!(process.wait(AT_ONCE).await.unwrap().code(), Some(0), "{}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_in_a_file_is_ended_soon_after_its_grace() {
    let mut stack = prepare().await;
    let folder = tempfile::tempdir().unwrap();
    stack.set("WAITLESS_DATABASE__CA_FILE", make_pipe(&folder.path().join("ca.pem")));
    stack.set("WAITLESS_DATABASE__URL", format!("{}?sslmode=verify-full", stack.postgres.url()));
    stack.set("WAITLESS_SERVICE__SHUTDOWN_GRACE", "1s".to_owned());
    let mut started = start_all(&stack).await;
    for process in &started {
        eventually(SOON, "it hears signals", async || hears_signals(process)).await;
    }
    // Past its settings and into the file: nothing tells, and a process that is not there yet ends sooner.
    for process in &mut started {
        process.terminate().unwrap();
        let ended = process.wait(AT_ONCE + Duration::from_secs(11)).await.unwrap();
        assert!(matches!(ended.code(), Some(0 | 1)), "{ended}: {}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_file_that_is_no_longer_one_stays_in_service_and_holds_up_no_end() {
    let mut stack = prepare().await;
    let folder = tempfile::tempdir().unwrap();
    for name in ["quick", "slow"] {
        let file = format!("{name}.toml");
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue").join(&file), folder.path().join(&file))
            .unwrap();
    }
    stack.set("WAITLESS_CATALOGUE__FOLDER", folder.path().display().to_string());
    stack.set("WAITLESS_CATALOGUE__RELOAD_EVERY", "50ms".to_owned());
    stack.add_gateway().await;
    stack.add_worker().await;
    // Put in its place at once: a file that is gone for a moment takes its report away.
    let pipe = make_pipe(&folder.path().join("pipe"));
    std::fs::rename(pipe, folder.path().join("quick.toml")).unwrap();
    eventually(SOON, "it is noticed", async || stack.gateways[0].log().contains("is not a file")).await;
    let id = stack.client.submit(&quick()).await;
    stack.wait_for(id, JobState::Done).await;
    stack.gateways[0].terminate().unwrap();
    assert_eq!(stack.gateways[0].wait(AT_ONCE).await.unwrap().code(), Some(0));
}

/// Makes a pipe that nobody writes into, and returns its path.
fn make_pipe(path: &Path) -> String {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path.display().to_string()
}

/// Whether a process catches `SIGTERM`.
fn hears_signals(process: &Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << 14) != 0)
}
