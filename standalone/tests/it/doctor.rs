//! `waitless doctor` and `waitless upgrade-check`, on real servers and on what is wrong with them.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use testing::fake_clock::FakeClock;
use testing::postgres::Database;
use testing::rabbitmq::VirtualHost;
use testing::s3::S3;
use testing::smtp::Smtp;
use testing::{postgres, rabbitmq, s3, smtp};
use tokio::net::TcpListener;

use crate::service::{Sandbox, output_text};

/// A word in every password that must never be shown.
const CANARY: &str = "hunter2";

/// Real servers, and the settings that lead to them.
struct Installation {
    sandbox: Sandbox,
    database: Database,
    vhost: VirtualHost,
    bucket: S3,
    mail: Smtp,
}

/// Where the settings lead; a test changes what it is about.
struct Places {
    database: String,
    broker: String,
    bucket: String,
    endpoint: String,
    mail: String,
}

impl Installation {
    async fn start() -> Self {
        Self {
            sandbox: Sandbox::with_counting(),
            database: postgres::fresh_store_database().await.unwrap(),
            vhost: rabbitmq::fresh_vhost().await.unwrap(),
            bucket: s3::start().await.unwrap(),
            mail: smtp::start().await.unwrap(),
        }
    }

    fn places(&self) -> Places {
        let mail = self.mail.url().replace("://", &format!("://ana:{CANARY}@"));
        Places {
            database: self.database.url().to_owned(),
            broker: self.vhost.url().to_owned(),
            bucket: self.bucket.url(),
            endpoint: self.bucket.endpoint(),
            mail,
        }
    }

    /// Writes the settings and asks the doctor.
    async fn doctor(&self, places: &Places, more: &[&str]) -> (Option<i32>, Value) {
        self.configure(places);
        let arguments: Vec<&str> = ["doctor", "--json"].iter().chain(more).copied().collect();
        told(&self.sandbox.output(&arguments).await)
    }

    fn configure(&self, places: &Places) {
        let Places { database, broker, bucket, endpoint, mail } = places;
        let settings = format!(
            "[service]\nmode = \"production\"\npublic_url = \"http://127.0.0.1:1\"\n\
             link_secret = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
             [database]\nurl = \"{database}\"\nmigrate = false\n[broker]\nurl = \"{broker}\"\n\
             [storage]\nurl = \"{bucket}\"\nendpoint = \"{endpoint}\"\nregion = \"{}\"\naccess_key_id = \"{}\"\n\
             secret_access_key = \"{}\"\n[mail]\nurl = \"{mail}\"\nallow = [\"@example.com\"]\n\
             [catalogue]\nfolder = {:?}\n[sources.numbers]\nurl = \"sqlite:{}\"\n[sources.warehouse]\nurl = \"{database}\"\n",
            S3::REGION,
            S3::ACCESS_KEY_ID,
            S3::SECRET_ACCESS_KEY,
            self.sandbox.path("catalogue"),
            self.sandbox.path("numbers.sqlite").display(),
        );
        self.sandbox.write("waitless.toml", &settings);
    }
}

/// Reads what a command told, and sees that no secret is in it and that whatever is not well says what to do.
fn told(output: &Output) -> (Option<i32>, Value) {
    let text = output_text(output);
    assert!(!text.contains(CANARY) && !text.contains(S3::SECRET_ACCESS_KEY), "{text}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    for finding in told["findings"].as_array().unwrap() {
        assert_eq!(finding["do"].is_null(), finding["level"] == "ok", "{finding}");
    }
    (output.status.code(), told)
}

/// Returns what was found of one part and level.
fn lines<'a>(told: &'a Value, about: &str, level: &str) -> Vec<&'a str> {
    let all = told["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["about"] == about && finding["level"] == level)
        .map(|finding| finding["what"].as_str().unwrap())
        .collect()
}

/// Asserts that exactly one finding of a part failed, that it says this, and what to do.
fn assert_fails(told: &Value, about: &str, what: &str, advice: &str) {
    let failed: Vec<&Value> =
        told["findings"].as_array().unwrap().iter().filter(|one| one["level"] == "fail").collect();
    let [failed] = failed.as_slice() else { panic!("one failure was expected: {failed:?}") };
    assert_eq!(failed["about"], about, "{failed}");
    assert!(failed["what"].as_str().unwrap().contains(what), "{failed}");
    assert!(failed["do"].as_str().unwrap().contains(advice), "{failed}");
}

#[tokio::test]
async fn the_doctor_finds_an_installation_of_real_servers_well() {
    let installation = Installation::start().await;
    let places = installation.places();
    let (code, told) = installation.doctor(&places, &["--mail-to", "ana@example.com"]).await;
    assert_eq!((code, &told["fail"]), (Some(0), &Value::from(0)), "{told:#}");
    let ok = |about: &str| lines(&told, about, "ok").join("\n");
    assert!(ok("database").contains("PostgreSQL") && ok("database").contains("clock"), "{told:#}");
    assert!(ok("database").contains("its schema is that of this version"), "{told:#}");
    assert!(ok("broker").contains("RabbitMQ 3.") || ok("broker").contains("RabbitMQ 4."), "{told:#}");
    assert!(ok("broker").contains("the first process declares them"), "{told:#}");
    for tried in
        ["in parts", "reads back as it was written", "a signed link opens it", "without a signature", "deleted"]
    {
        assert!(ok("storage").contains(tried), "{tried}: {told:#}");
    }
    assert_eq!(installation.bucket.keys().unwrap(), [""; 0], "the object of the trial is gone");
    assert!(ok("mail").contains("accepts our user and password") && ok("mail").contains("up to 10 MiB"), "{told:#}");
    assert_eq!(installation.mail.mails_to("ana@example.com").len(), 1);
    assert!(ok("source numbers").contains("SQLite") && ok("source warehouse").contains("PostgreSQL"), "{told:#}");
    assert!(lines(&told, "source warehouse", "warn").concat().contains("could write"), "{told:#}");
    assert!(lines(&told, "address", "warn").concat().contains("does not answer"), "{told:#}");
    assert_eq!(installation.vhost.queues().await.unwrap(), [""; 0], "nothing that stays was declared");
    let (code, _) = installation.doctor(&places, &["--strict"]).await;
    assert_eq!(code, Some(1), "what is to be looked at counts");
}

#[tokio::test]
async fn a_wrong_password_is_told_with_what_to_do_and_never_shown() {
    let installation = Installation::start().await;
    let right = installation.places();
    let (head, rest) = right.broker.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    let broker = format!("{head}://nobody:{CANARY}@{place}");
    let (code, told) = installation.doctor(&Places { broker, ..installation.places() }, &[]).await;
    assert_eq!(code, Some(1));
    assert_fails(&told, "broker", "ACCESS", "correct user and password in broker.url");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_apart_from_a_server_that_is_not() {
    let installation = Installation::start().await;
    let name = installation.database.url().rsplit('/').next().unwrap().to_owned();
    let database = installation.database.url().replace(&name, "nothing_of_this_name");
    let (_, told) = installation.doctor(&Places { database, ..installation.places() }, &[]).await;
    assert!(lines(&told, "database", "fail").concat().contains("does not exist"), "{told:#}");
    assert!(told.to_string().contains("make the database"), "{told:#}");
    let database = "postgres://127.0.0.1:1/waitless".to_owned();
    let (_, told) = installation.doctor(&Places { database, ..installation.places() }, &[]).await;
    assert!(told.to_string().contains("see that the server runs"), "{told:#}");
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_named_with_what_differs() {
    let installation = Installation::start().await;
    let queue = serde_json::json!({ "durable": true, "arguments": { "x-queue-type": "classic" } });
    let path = "/api/queues/{vhost}/waitless.dead.v1";
    installation.vhost.manage("PUT", path, Some(&queue)).await.unwrap();
    let (code, told) = installation.doctor(&installation.places(), &[]).await;
    assert_eq!(code, Some(1));
    assert_fails(
        &told,
        "broker",
        "queue waitless.dead.v1 exists with other settings",
        "delete the queue waitless.dead.v1",
    );
    assert!(lines(&told, "broker", "fail").concat().contains("inequivalent arg"), "{told:#}");
    let output = installation.sandbox.output(&["upgrade-check", "--json"]).await;
    assert_fails(&self::told(&output).1, "broker", "waitless.dead.v1", "delete the queue");
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_told_with_its_name() {
    let installation = Installation::start().await;
    let (code, told) =
        installation.doctor(&Places { bucket: "s3://elsewhere".to_owned(), ..installation.places() }, &[]).await;
    assert_eq!(code, Some(1));
    assert_fails(&told, "storage", "NoSuchBucket", "make the bucket");
}

#[tokio::test]
async fn a_mail_server_that_refuses_our_password_is_told() {
    let installation = Installation::start().await;
    installation.mail.refuse_logins();
    let (code, told) = installation.doctor(&installation.places(), &[]).await;
    assert_eq!(code, Some(1));
    assert_fails(&told, "mail", "does not accept our credentials", "correct user and password in mail.url");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let installation = Installation::start().await;
    installation.configure(&installation.places());
    let clock = FakeClock::new().unwrap();
    clock.set(90).unwrap();
    let output = installation.sandbox.command(&["doctor", "--json"]).envs(clock.environment()).output().await.unwrap();
    let (_, told) = told(&output);
    let warned = lines(&told, "database", "warn").concat();
    assert!(warned.contains("its clock is 90 s behind this machine's"), "{told:#}");
}

#[tokio::test]
async fn a_schema_that_is_too_old_or_too_new_is_told_and_what_an_upgrade_would_run() {
    let installation = Installation::start().await;
    let places = installation.places();
    let run = async |sql: &str| drop(installation.database.sql(sql).await.unwrap());
    run("insert into __diesel_schema_migrations (version) values ('20990101000000')").await;
    let (code, told) = installation.doctor(&places, &[]).await;
    assert_eq!(code, Some(0), "two versions run beside each other in a rollout");
    assert!(lines(&told, "database", "warn").concat().contains("newer than this version"), "{told:#}");
    run("delete from __diesel_schema_migrations where version in ('20990101000000', '20260206000002', '20260207000000')").await;
    let (code, told) = installation.doctor(&places, &[]).await;
    assert_eq!(code, Some(1));
    assert_fails(&told, "database", "it lacks 2 migrations", "run `waitless migrate`");
    // As if there were so many, by what the server remembers of them.
    run("update pg_class set reltuples = 5000000 where relname = 'deliveries'").await;
    let (code, told) = self::told(&installation.sandbox.output(&["upgrade-check", "--json"]).await);
    assert_eq!(code, Some(0));
    let heavy = lines(&told, "database", "warn").concat();
    assert!(heavy.contains("20260206000002") && heavy.contains("5 000 000 rows"), "{told:#}");
    assert!(lines(&told, "database", "ok").concat().contains("20260207000000 would run, new tables"), "{told:#}");
}

#[tokio::test]
async fn servers_that_take_a_connection_and_then_hang_cost_seconds_and_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let installation = Installation::start().await;
    let places = Places {
        database: format!("postgres://u:{CANARY}@{place}/d"),
        broker: format!("amqp://u:{CANARY}@{place}"),
        bucket: installation.bucket.url(),
        endpoint: format!("http://{place}"),
        mail: format!("smtp+plain://u:{CANARY}@{place}"),
    };
    let started = Instant::now();
    let (code, told) = installation.doctor(&places, &[]).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(code, Some(1));
    for about in ["database", "broker", "storage", "mail", "source warehouse"] {
        assert!(!lines(&told, about, "fail").is_empty(), "{about}: {told:#}");
    }
    assert!(!lines(&told, "source numbers", "ok").is_empty(), "others are not held up: {told:#}");
    silent.abort();
}

#[tokio::test]
async fn on_embedded_defaults_the_doctor_makes_nothing_and_finds_what_was_made() {
    let sandbox = Sandbox::empty();
    let said = sandbox.say(&["doctor"]).await;
    assert!(said.contains("is not there yet") && said.contains(" 0 to mend"), "{said}");
    assert!(!sandbox.path("data").exists());
    let service = sandbox.up().await;
    let said = sandbox.say(&["doctor"]).await;
    assert!(said.contains("its schema is that of this version") && said.contains("source demo"), "{said}");
    assert!(said.contains("the secret of links is in the data folder"), "{said}");
    assert_eq!(service.stop().await, 0);
    assert!(sandbox.say(&["upgrade-check"]).await.contains("no migration would run"));
}

#[tokio::test]
async fn settings_that_there_are_not_are_told_before_an_upgrade() {
    let sandbox = Sandbox::empty();
    sandbox.write("waitless.toml", "[http]\nlisen = \"127.0.0.1:1\"\n[worker]\nconcurrency = 0\n");
    for command in ["upgrade-check", "doctor"] {
        let output = sandbox.output(&[command]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = output_text(&output);
        assert!(said.contains("did you mean `http.listen`?") && said.contains("2 to mend"), "{said}");
    }
}

#[tokio::test]
async fn every_identity_provider_is_reached_and_one_that_is_not_is_told_apart() {
    let key = testing::identity_provider::SigningKey::make("one");
    let provider = testing::identity_provider::MadeUpProvider::start(&key).await.unwrap();
    let sandbox = Sandbox::empty();
    let section = |name: &str, issuer: &str| {
        format!(
            "[oidc.{name}]\nissuer = \"{issuer}\"\naudience = \"reports\"\ntenant = \"acme\"\nscopes = [\"read\"]\n"
        )
    };
    sandbox.write(
        "waitless.toml",
        &format!("{}{}", section("staff", provider.issuer()), section("gone", "http://127.0.0.1:1")),
    );
    let (code, told) = told(&sandbox.output(&["doctor", "--json"]).await);
    assert_eq!(code, Some(1));
    let said = format!("{} answers, with 1 keys that sign tokens", provider.issuer());
    assert_eq!(lines(&told, "oidc staff", "ok"), [said]);
    assert_fails(&told, "oidc gone", "does not answer", "see whether this machine reaches the provider");
}

#[tokio::test]
async fn secrets_that_can_be_guessed_are_told_apart_and_never_shown() {
    const GOOD: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let sandbox = Sandbox::empty();
    let ask = async |link_secret: &str, seal_keys: &str| {
        let settings = format!("[service]\nlink_secret = \"{link_secret}\"\nseal_keys = {seal_keys}\n");
        sandbox.write("waitless.toml", &settings);
        told(&sandbox.output(&["doctor", "--json"]).await).1
    };
    let found = ask(&"3fA9c17e".repeat(4), &format!("[\"{}\", \"{GOOD}\"]", CANARY.repeat(5))).await;
    let failed = lines(&found, "secrets", "fail");
    assert_eq!(
        failed,
        ["service.link_secret can be guessed", "key 1 of service.seal_keys can be guessed"],
        "{found:#}"
    );
    let found = ask(GOOD, &format!("[\"{GOOD}\"]")).await;
    assert!(lines(&found, "secrets", "warn").concat().contains("is the secret of links"), "{found:#}");
    let found = ask(GOOD, "[\"d1c7f8f0a9b24e5f8a6b3c0d9e1f2a47\"]").await;
    assert!(lines(&found, "secrets", "fail").is_empty() && lines(&found, "secrets", "warn").is_empty(), "{found:#}");
    assert!(lines(&found, "secrets", "ok").concat().contains("service.seal_keys are long"), "{found:#}");
    assert!(!found.to_string().contains(GOOD));
}
