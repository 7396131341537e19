//! Reads section after section, in the order of `default.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::Value;

use super::read::Reader;
use super::{
    Broker, Catalogue, Config, Database, Http, LogFormat, Mail, Mode, Notifier, Role, Secret, Service, Source, Storage,
    Sweeper, Telemetry, Worker,
};
use model::delivery::Channel;
use model::job::Lane;
use model::retry_schedule::RetrySchedule;

impl Reader {
    /// Reads every section; faults are noted on the way.
    pub(super) fn everything(&mut self, role: Role) -> Config {
        let service = self.service();
        let mut config = Config {
            http: self.http(),
            database: self.database(&service),
            broker: self.broker(),
            storage: self.storage(&service),
            mail: self.mail(&service),
            worker: self.worker(),
            notifier: Notifier {
                concurrency: self.number("notifier.concurrency", 1),
                max_attempts: self.number("notifier.max_attempts", 1),
            },
            sweeper: self.sweeper(),
            catalogue: Catalogue {
                folder: self.path("catalogue.folder"),
                reload_every: self.duration("catalogue.reload_every"),
            },
            telemetry: self.telemetry(),
            sources: self.sources(),
            tenants: BTreeMap::new(),
            service,
        };
        config.tenants = self.tenants(&config.mail.brand);
        if config.service.mode == Mode::Production {
            self.refuse_embedded(role, &config);
        }
        config
    }

    fn service(&mut self) -> Service {
        let mode = self.one_of("service.mode", &[("embedded", Mode::Embedded), ("production", Mode::Production)]);
        Service {
            mode: mode.unwrap_or(Mode::Production),
            data_dir: self.path("service.data_dir").unwrap_or_else(|| PathBuf::from("data")),
            public_url: self.optional("service.public_url").map(|url| url.trim_end_matches('/').to_owned()),
            link_secret: self.secret("service.link_secret"),
            shutdown_grace: self.duration("service.shutdown_grace"),
        }
    }

    fn http(&mut self) -> Http {
        let listen = self.text("http.listen");
        let listen = listen.parse().unwrap_or_else(|_| {
            self.fault::<()>(
                "http.listen",
                format!("`{listen}` is not an address; write for example \"127.0.0.1:8080\""),
            );
            ([127, 0, 0, 1], 0).into()
        });
        Http {
            listen,
            threads: self.number("http.threads", 0),
            max_body: self.size("http.max_body"),
            cors_origins: self.list("http.cors_origins"),
            max_unfinished_jobs: self.number("http.max_unfinished_jobs", 1),
            submits_per_second: self.number("http.submits_per_second", 0),
            max_watchers_per_principal: self.number("http.max_watchers_per_principal", 1),
            max_watchers: self.number("http.max_watchers", 1),
            ping_every: self.duration("http.ping_every"),
            max_page: self.number("http.max_page", 1),
            max_wait: self.duration("http.max_wait"),
        }
    }

    fn database(&mut self, service: &Service) -> Database {
        let url = self
            .optional("database.url")
            .unwrap_or_else(|| format!("sqlite:{}", service.data_dir.join("waitless.db").display()));
        self.scheme("database.url", &url, &["sqlite:", "postgres://", "postgresql://"]);
        Database {
            url: Secret::new(url),
            pool: self.number("database.pool", 2),
            acquire_timeout: self.duration("database.acquire_timeout"),
            statement_timeout: self.duration("database.statement_timeout"),
            ca_file: self.path("database.ca_file"),
            migrate: self.flag("database.migrate"),
        }
    }

    fn broker(&mut self) -> Broker {
        let url = self.secret("broker.url");
        self.scheme("broker.url", url.expose(), &["in-process:", "amqp://", "amqps://"]);
        let delays: Vec<_> =
            self.list("broker.retry_delays").iter().map(|text| model::units::parse_duration(text)).collect();
        let delays = delays
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .and_then(|delays| RetrySchedule::new(delays).map_err(str::to_owned));
        Broker {
            url,
            ca_file: self.path("broker.ca_file"),
            heartbeat: self.duration("broker.heartbeat"),
            timeout: self.duration("broker.timeout"),
            retry_delays: delays.unwrap_or_else(|message| self.fault("broker.retry_delays", message)),
            delivery_limit: self.number("broker.delivery_limit", 1),
            hand_off_after: self.duration("broker.hand_off_after"),
        }
    }

    fn storage(&mut self, service: &Service) -> Storage {
        let url = self
            .optional("storage.url")
            .unwrap_or_else(|| format!("file:{}", service.data_dir.join("artifacts").display()));
        self.scheme("storage.url", &url, &["file:", "s3://", "gs://", "az://"]);
        let part_size = self.size("storage.part_size");
        if part_size.0 < 5 << 20 {
            self.fault::<()>(
                "storage.part_size",
                format!("{part_size} is too small; object stores take parts of at least 5MiB"),
            );
        }
        Storage {
            url,
            endpoint: self.optional("storage.endpoint"),
            region: self.optional("storage.region"),
            access_key_id: self.optional("storage.access_key_id"),
            secret_access_key: self.optional("storage.secret_access_key").map(Secret::new),
            sign_for: self.duration("storage.sign_for"),
            proxy_downloads: self.flag("storage.proxy_downloads"),
            part_size,
            upload_concurrency: self.number("storage.upload_concurrency", 1),
            timeout: self.duration("storage.timeout"),
        }
    }

    fn mail(&mut self, service: &Service) -> Mail {
        let url =
            self.optional("mail.url").unwrap_or_else(|| format!("file:{}", service.data_dir.join("mail").display()));
        self.backend(Channel::Email, &url);
        Mail {
            url: Secret::new(url),
            ca_file: self.path("mail.ca_file"),
            from: self.text("mail.from"),
            allow: self.list("mail.allow"),
            timeout: self.duration("mail.timeout"),
            late_after: self.duration_or_never("mail.late_after"),
            brand: self.brand(),
        }
    }

    fn worker(&mut self) -> Worker {
        let names = self.list("worker.lanes");
        let lanes = names.iter().map(|name| name.parse::<Lane>()).collect::<Result<Vec<_>, _>>();
        let lanes = lanes
            .unwrap_or_else(|error| self.fault("worker.lanes", format!("{error}; lanes are interactive and bulk")));
        if lanes.is_empty() && names.is_empty() {
            self.fault::<()>("worker.lanes", "at least one lane is needed");
        }
        Worker {
            lanes,
            concurrency: self.number("worker.concurrency", 1),
            heartbeat: self.duration("worker.heartbeat"),
            max_timeout: self.duration("worker.max_timeout"),
            max_rows: self.number("worker.max_rows", 1),
            max_bytes: self.size("worker.max_bytes"),
            memory: self.size("worker.memory"),
            fonts: self.list("worker.fonts").into_iter().map(Into::into).collect(),
            progress_every: self.duration("worker.progress_every"),
        }
    }

    fn sweeper(&mut self) -> Sweeper {
        Sweeper {
            every: self.duration("sweeper.every"),
            grace: self.duration("sweeper.grace"),
            ring_rate: self.number("sweeper.ring_rate", 1),
            orphan_grace: self.duration("sweeper.orphan_grace"),
            idempotency_retention: self.duration("sweeper.idempotency_retention"),
            click_retention: self.duration("sweeper.click_retention"),
        }
    }

    fn telemetry(&mut self) -> Telemetry {
        let log = self.text("telemetry.log");
        if let Err(error) = log.parse::<tracing_subscriber::EnvFilter>() {
            self.fault::<()>("telemetry.log", format!("`{log}` is not a log filter: {error}"));
        }
        Telemetry {
            log,
            log_format: self
                .one_of("telemetry.log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
                .unwrap_or(LogFormat::Text),
            otlp_endpoint: self.optional("telemetry.otlp_endpoint"),
            service_name: self.text("telemetry.service_name"),
        }
    }

    fn sources(&mut self) -> BTreeMap<String, Source> {
        let names: Vec<String> =
            self.config.get::<BTreeMap<String, Value>>("sources").unwrap_or_default().into_keys().collect();
        names.into_iter().map(|name| (name.clone(), self.source(&name))).collect()
    }

    fn source(&mut self, name: &str) -> Source {
        let key = |setting: &str| format!("sources.{name}.{setting}");
        let url = self.config.get_string(&key("url")).unwrap_or_default();
        self.scheme(&key("url"), &url, &["postgres://", "postgresql://", "sqlite:"]);
        let max_connections = if self.config.get_string(&key("max_connections")).is_ok() {
            self.number(&key("max_connections"), 0)
        } else {
            0
        };
        Source { url: Secret::new(url), max_connections }
    }

    fn backend(&mut self, channel: Channel, url: &str) {
        if let Some(setting) = channel.backend() {
            self.scheme(setting.key, url, setting.schemes);
        }
    }

    /// Names the scheme and nothing more: a URL may hold a password.
    fn scheme(&mut self, key: &str, url: &str, accepted: &[&str]) {
        if !accepted.iter().any(|scheme| url.starts_with(scheme)) {
            let given = url.split_once(':').map_or("nothing", |(scheme, _)| scheme);
            self.fault::<()>(key, format!("starts with `{given}`; accepted are {}", accepted.join(", ")));
        }
    }

    fn refuse_embedded(&mut self, role: Role, config: &Config) {
        let backends = [
            (true, "database.url", config.database.url.expose(), "sqlite:", "postgres://…"),
            (role.serves(), "broker.url", config.broker.url.expose(), "in-process:", "amqp://… or amqps://…"),
        ];
        let channels = Channel::ALL.into_iter().filter_map(|channel| {
            let setting = channel.backend()?;
            let url = match channel {
                Channel::Email => config.mail.url.expose(),
            };
            Some((role.sends_mail(), setting.key, url, setting.embedded, setting.instead))
        });
        let storage = (role.serves(), "storage.url", config.storage.url.as_str(), "file:", "s3://…, gs://… or az://…");
        for (used, key, url, embedded, instead) in backends.into_iter().chain(channels).chain([storage]) {
            if used && url.starts_with(embedded) {
                self.fault::<()>(
                    key,
                    format!("`{embedded}` is for embedded mode; set {instead}, or service.mode = \"embedded\""),
                );
            }
        }
        if role.serves() && config.service.link_secret.expose().len() < 32 {
            self.fault::<()>("service.link_secret", "at least 32 random bytes are needed, the same for every process");
        }
        if role.shows_links() && config.service.public_url.is_none() {
            self.fault::<()>(
                "service.public_url",
                "is needed for the links in mails, for example \"https://reports.example.com\"",
            );
        }
    }
}
