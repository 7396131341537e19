//! A system that is configured by one file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use testing::eventually;
use testing::process::{Process, binary};
use testing::smtp::Smtp;
use testing::tls::{CertificateAuthority, TlsProxy};
use toml::{Table, Value};

use super::client::{Client, SOON};

const RECIPIENT: &str = "ana@example.com";

/// How the URLs of a system begin.
pub(super) struct Backends {
    pub(super) database: &'static str,
    pub(super) broker: &'static str,
    pub(super) storage: &'static str,
    pub(super) mail: &'static str,
    /// Three services, and not all in one process.
    pub(super) apart: bool,
}

/// A running system. Gone with this value.
pub(super) struct System {
    // Processes end before the servers they use.
    processes: Vec<Process>,
    servers: Servers,
    _authority: CertificateAuthority,
    folder: tempfile::TempDir,
    key: String,
}

/// What the file leads to; `None` where that is within the process or a folder.
#[derive(Default)]
struct Servers {
    postgres: Option<testing::postgres::Database>,
    rabbitmq: Option<testing::rabbitmq::VirtualHost>,
    s3: Option<testing::s3::S3>,
    smtp: Option<Smtp>,
    fronts: Vec<TlsProxy>,
}

/// Starts a binary on a configuration file, and waits until it is ready.
pub(super) async fn start(name: &str, arguments: &[&str], file: &Path) -> Process {
    let builder = arguments.iter().fold(binary(name), |builder, argument| builder.arg(*argument));
    builder.arg("--config").arg(file.to_str().unwrap()).start_ready().await.unwrap()
}

/// Reads the key that `waitless up` has made.
pub(super) fn key_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("data/api-key")).unwrap()
}

impl System {
    /// Starts servers and services.
    pub(super) async fn start(backends: &Backends) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::of(&["127.0.0.1"]).unwrap();
        let mut servers = Servers::default();
        let mut settings = common_settings(folder.path());
        settings.insert("database".to_owned(), servers.database(backends.database).await.into());
        settings.insert("broker".to_owned(), servers.broker(backends.broker, &authority).await.into());
        settings.insert("storage".to_owned(), servers.storage(backends.storage, folder.path()).await.into());
        settings.insert("mail".to_owned(), servers.mail(backends.mail, &authority, folder.path()).await.into());
        let file = folder.path().join("waitless.toml");
        std::fs::write(&file, settings.to_string()).unwrap();
        let (processes, key) = if backends.apart {
            let key = make_key(&file).await;
            (
                vec![
                    start("api", &[], &file).await,
                    start("report-worker", &[], &file).await,
                    start("notifier", &[], &file).await,
                ],
                key,
            )
        } else {
            (vec![start("waitless", &["up"], &file).await], key_of(folder.path()))
        };
        Self { processes, servers, _authority: authority, folder, key }
    }

    /// Runs a report over HTTP and holds against what stands in every backend.
    pub(super) async fn run_the_report_and_read_file_and_mail(&self) {
        let client = Client::new(self.processes[0].url(), &self.key);
        assert_eq!(client.csv_of("facts", Some(RECIPIENT)).await, "n,what\r\n1,one\r\n2,two\r\n");
        eventually(SOON, "the mail has come", async || if self.mail_has_come() { Ok(()) } else { Err("no mail") })
            .await;
        if let Some(postgres) = &self.servers.postgres {
            let jobs = postgres.sql("select count(*) from jobs where state = 'done'").await.unwrap();
            assert_eq!(jobs, [[Some("1".to_owned())]]);
        }
        if let Some(rabbitmq) = &self.servers.rabbitmq {
            assert!(!rabbitmq.queues().await.unwrap().is_empty());
        }
        match &self.servers.s3 {
            Some(s3) => assert_eq!(s3.keys().unwrap().len(), 1),
            None => assert!(self.folder.path().join("artifacts").is_dir()),
        }
    }

    /// Runs a report over HTTP that one of its formats cannot hold, and finds the other one whole and nothing else.
    pub(super) async fn run_a_report_that_a_format_refuses(&self) {
        let client = Client::new(self.processes[0].url(), &self.key);
        let files = |servers: &Servers| servers.s3.as_ref().map(|s3| s3.keys().unwrap().len());
        let before = files(&self.servers);
        let job = client.run_in_part("twice", &["jsonl", "csv"]).await;
        assert_eq!((&job["on_refusal"], &job["error"]), (&"keep_others".into(), &serde_json::Value::Null));
        let refused = job["refused"].as_array().unwrap();
        assert_eq!((refused.len(), &refused[0]["format"]), (1, &"jsonl".into()), "{job}");
        let problem = &refused[0]["problem"];
        let why = problem["detail"].as_str().unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with("/unsupported-column") && why.contains("`n`"), "{problem}");
        assert_eq!((job["artifacts"].as_array().unwrap().len(), &job["artifacts"][0]["format"]), (1, &"csv".into()));
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let file = client.read(&format!("{path}/artifacts/csv")).await;
        assert_eq!(file, (200, "n,n\r\n1,one\r\n2,two\r\n".to_owned()));
        for place in ["artifacts/jsonl", "artifacts/jsonl/receipt"] {
            let (status, said) = client.read(&format!("{path}/{place}")).await;
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert!(status == 404 && said["detail"].as_str().unwrap().contains(why), "{said}");
        }
        let (_, events) = client.read(&format!("{path}/events")).await;
        let done = events.split("event: done\ndata: ").nth(1).unwrap().lines().next().unwrap();
        let done: serde_json::Value = serde_json::from_str(done).unwrap();
        assert_eq!(done["data"]["refused"], job["refused"]);
        if let Some(before) = before {
            assert_eq!(files(&self.servers), Some(before + 1));
        }
    }

    fn mail_has_come(&self) -> bool {
        match &self.servers.smtp {
            Some(smtp) => !smtp.mails_to(RECIPIENT).is_empty(),
            None => std::fs::read_dir(self.folder.path().join("mails")).unwrap().any(|entry| {
                let path = entry.unwrap().path();
                path.extension().is_some_and(|extension| extension == "eml")
                    && std::fs::read_to_string(path).unwrap().contains(RECIPIENT)
            }),
        }
    }
}

impl Servers {
    async fn database(&mut self, prefix: &str) -> Table {
        if prefix == "sqlite:" {
            // Empty stands for a file in the data folder.
            return section([("url", "")]);
        }
        let postgres = self.postgres.insert(testing::postgres::fresh_database().await.unwrap());
        section([("url", &with_prefix(prefix, postgres.url()))])
    }

    async fn broker(&mut self, prefix: &str, authority: &CertificateAuthority) -> Table {
        if prefix == "in-process:" {
            return section([("url", "in-process:")]);
        }
        let rabbitmq = testing::rabbitmq::fresh_vhost().await.unwrap();
        let url = rabbitmq.url().to_owned();
        self.rabbitmq = Some(rabbitmq);
        if prefix == "amqp://" {
            return section([("url", &url)]);
        }
        let (login, place) = url.rsplit_once('@').unwrap();
        let (address, vhost) = place.split_once('/').unwrap();
        let port = self.put_tls_before(authority, &address.replace("localhost", "127.0.0.1")).await;
        let url = format!("{}@127.0.0.1:{port}/{vhost}", with_prefix(prefix, login));
        section([("url", &url), ("ca_file", authority.ca_file().to_str().unwrap())])
    }

    async fn storage(&mut self, prefix: &str, folder: &Path) -> Table {
        if prefix == "file:" {
            return section([("url", &format!("file:{}", folder.join("artifacts").display()))]);
        }
        let s3 = self.s3.insert(testing::s3::start().await.unwrap());
        section([
            ("url", &format!("{}/reports", s3.url())),
            ("endpoint", &s3.endpoint()),
            ("region", testing::s3::S3::REGION),
            ("access_key_id", testing::s3::S3::ACCESS_KEY_ID),
            ("secret_access_key", testing::s3::S3::SECRET_ACCESS_KEY),
        ])
    }

    async fn mail(&mut self, prefix: &str, authority: &CertificateAuthority, folder: &Path) -> Table {
        let smtp = match prefix {
            "file:" => return section([("url", &format!("file:{}", folder.join("mails").display()))]),
            "smtp://" => testing::smtp::start_with_starttls(authority).await.unwrap(),
            _ => testing::smtp::start().await.unwrap(),
        };
        let port = match prefix {
            "smtps://" => self.put_tls_before(authority, &format!("127.0.0.1:{}", smtp.port())).await,
            _ => smtp.port(),
        };
        self.smtp = Some(smtp);
        let url = format!("{prefix}127.0.0.1:{port}");
        section([("url", &*url), ("ca_file", authority.ca_file().to_str().unwrap()), ("allow", RECIPIENT)])
    }

    async fn put_tls_before(&mut self, authority: &CertificateAuthority, address: &str) -> u16 {
        let address: SocketAddr = address.parse().unwrap();
        let front = authority.in_front_of(address).await.unwrap();
        let port = front.port();
        self.fronts.push(front);
        port
    }
}

/// A catalogue of one report, its source, and delays that a test can wait for.
fn common_settings(folder: &Path) -> Table {
    let (catalogue, source) = (folder.join("catalogue"), folder.join("facts.db"));
    std::fs::create_dir(&catalogue).unwrap();
    let report = "title = \"Facts\"\nsource = \"facts\"\nsql = \"select n, what from facts order by n\"\n";
    std::fs::write(catalogue.join("facts.toml"), report).unwrap();
    let report = "title = \"Twice\"\nsource = \"facts\"\nformats = [\"csv\", \"jsonl\"]\nsql = \"select n, what as n from facts\"\n";
    std::fs::write(catalogue.join("twice.toml"), report).unwrap();
    let rows = "create table facts (n int, what text); insert into facts values (1, 'one'), (2, 'two')";
    rusqlite::Connection::open(&source).unwrap().execute_batch(rows).unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let service = [
        ("data_dir", text(folder.join("data"))),
        ("public_url", "http://reports.example.com".to_owned()),
        ("link_secret", "0123456789abcdef0123456789abcdef".to_owned()),
    ];
    let sources =
        Table::from_iter([("facts".to_owned(), section([("url", &*format!("sqlite:{}", text(source)))]).into())]);
    Table::from_iter([
        ("service".to_owned(), section(service.each_ref().map(|(key, value)| (*key, value.as_str()))).into()),
        ("catalogue".to_owned(), section([("folder", &*text(catalogue))]).into()),
        ("sources".to_owned(), sources.into()),
    ])
}

/// Makes a section of a configuration file.
pub(super) fn section<const N: usize>(settings: [(&str, &str); N]) -> Table {
    settings.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
}

fn with_prefix(prefix: &str, url: &str) -> String {
    format!("{prefix}{}", url.split_once("://").unwrap().1)
}

/// Makes a key as an operator does, on the command line.
async fn make_key(file: &Path) -> String {
    let program = testing::process::built("waitless").await.unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["keys", "--config"]).arg(file).arg("create");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
