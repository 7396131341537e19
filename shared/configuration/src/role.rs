//! What production demands of a process, by what it does.

use super::{Config, SettingError};

/// What a process does, and so which settings production demands of it. What it demands of all is only checked in that mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    AllInOne,
    /// Answers requests. Links in its answers are made of `service.public_url`.
    Gateway,
    /// Runs reports.
    ReportWorker,
    /// Sends mail.
    Notifier,
    /// Works on the database and ends: migrations, API keys.
    DatabaseOnly,
}

/// A backend that is only good for one process on one machine.
struct Embedded<'a> {
    used: bool,
    key: &'static str,
    url: &'a str,
    scheme: &'static str,
    instead: &'static str,
}

impl Embedded<'_> {
    fn is_chosen(&self) -> bool {
        self.used && self.url.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(self.scheme))
    }

    fn error(&self) -> SettingError {
        let Self { scheme, instead, .. } = self;
        let message = format!("`{scheme}:` is for embedded mode; set {instead}, or service.mode = \"embedded\"");
        SettingError::new(self.key, message)
    }
}

impl Role {
    /// Tells whether a process of this role makes, keeps or removes files, rings doorbells and signs links. All services do: a
    /// sweeper runs in each.
    const fn serves(self) -> bool {
        !matches!(self, Self::DatabaseOnly)
    }

    /// Tells whether it sends mail.
    const fn sends_mail(self) -> bool {
        matches!(self, Self::AllInOne | Self::Notifier)
    }

    /// Tells whether it shows links to people.
    const fn shows_links(self) -> bool {
        matches!(self, Self::AllInOne | Self::Gateway | Self::Notifier)
    }

    /// Says what a process of this role lacks for production.
    pub(super) fn check_production(self, config: &Config) -> Vec<SettingError> {
        let mut errors: Vec<_> =
            self.embedded(config).iter().filter(|backend| backend.is_chosen()).map(Embedded::error).collect();
        if self.serves() && config.service.link_secret.expose().len() < 32 {
            let message = "at least 32 random bytes are needed, the same for every process";
            errors.push(SettingError::new("service.link_secret", message));
        }
        if self.shows_links() && config.service.public_url.is_none() {
            let message = "is needed for the links in mails, for example \"https://reports.example.com\"";
            errors.push(SettingError::new("service.public_url", message));
        }
        errors
    }

    fn embedded(self, config: &Config) -> [Embedded<'_>; 4] {
        [
            Embedded {
                used: true,
                key: "database.url",
                url: config.database.url.expose(),
                scheme: "sqlite",
                instead: "postgres://…",
            },
            Embedded {
                used: self.serves(),
                key: "broker.url",
                url: config.broker.url.expose(),
                scheme: "in-process",
                instead: "amqp://… or amqps://…",
            },
            Embedded {
                used: self.sends_mail(),
                key: "mail.url",
                url: config.mail.url.expose(),
                scheme: "file",
                instead: "smtp://… or smtps://…",
            },
            Embedded {
                used: self.serves(),
                key: "storage.url",
                url: &config.storage.url,
                scheme: "file",
                instead: "s3://…, gs://… or az://…",
            },
        ]
    }
}
