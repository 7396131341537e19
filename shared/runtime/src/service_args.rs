//! The command line that every service has.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches as _};

use configuration::{Config, ConfigError, Role, SettingError, UrlCheck, wrong_urls};

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML); the environment (`WAITLESS_<SECTION>__<KEY>`) wins over it [env: WAITLESS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of embedded backends: database, files, mails, key [env: WAITLESS_SERVICE__DATA_DIR] [default: data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

/// What a service is told when it is started: `api`, `report-worker`, `notifier`, and all of them in `waitless up`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The configuration file, without `--config` before it.
    #[arg(value_name = "FILE", hide = true, conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [env: WAITLESS_HTTP__LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

impl ConfigArgs {
    /// Loads the configuration, as far as a process of this role needs it.
    ///
    /// # Errors
    /// Lists every mistake with its key and what would be right.
    pub fn load(&self, role: Role) -> Result<Config, ConfigError> {
        self.load_with(role, |_| Vec::new())
    }

    /// Does so, and has `check` say what else is wrong: of the URLs that the process opens beside database, broker and storage.
    ///
    /// # Errors
    /// Lists every mistake with its key and what would be right.
    pub fn load_with(
        &self,
        role: Role,
        check: impl FnOnce(&Config) -> Vec<SettingError>,
    ) -> Result<Config, ConfigError> {
        Config::load(role, self.config.as_deref(), self.variables(), checked_by_backends(role, check))
    }

    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let data = self.data.as_ref().map(|folder| folder.display().to_string());
        data.map(|folder| ("WAITLESS_SERVICE__DATA_DIR".to_owned(), folder)).into_iter()
    }
}

/// Has the URLs judged that a process of this role opens, whatever it does with them.
fn checked_by_backends(
    role: Role,
    more: impl FnOnce(&Config) -> Vec<SettingError>,
) -> impl FnOnce(&Config) -> Vec<SettingError> {
    move |config| {
        let one = |key: &str, url, check| UrlCheck { key: key.to_owned(), url, check };
        let database = one("database.url", config.database.url.expose(), crate::check_store_url as fn(&str) -> _);
        let others = [
            one("broker.url", config.broker.url.expose(), broker::check_url),
            one("storage.url", &config.storage.url, storage::check_url),
        ];
        let others = others.into_iter().filter(|_| role != Role::DatabaseOnly);
        let mut errors = wrong_urls(std::iter::once(database).chain(others));
        errors.extend(more(config));
        errors
    }
}

impl ServiceArgs {
    /// Reads the command line of the process that is called `name`. Answers `--help` and `--version` and ends the process; wrong
    /// usage ends it too, with code 2.
    #[must_use]
    pub fn parse(name: &'static str, about: &'static str) -> Self {
        let command = Self::augment_args(Command::new(name)).version(env!("CARGO_PKG_VERSION")).about(about);
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Loads the configuration, as far as a process of this role needs it. The command line wins over the environment.
    ///
    /// # Errors
    /// Lists every mistake with its key and what would be right.
    pub fn load(&self, role: Role) -> Result<Config, ConfigError> {
        self.load_with(role, |_| Vec::new())
    }

    /// Does so, and has `check` say what else is wrong, as [`ConfigArgs::load_with`].
    ///
    /// # Errors
    /// Lists every mistake with its key and what would be right.
    pub fn load_with(
        &self,
        role: Role,
        check: impl FnOnce(&Config) -> Vec<SettingError>,
    ) -> Result<Config, ConfigError> {
        let listen = self.listen.map(|address| ("WAITLESS_HTTP__LISTEN".to_owned(), address.to_string()));
        let file = self.config.config.as_deref().or(self.file.as_deref());
        Config::load(role, file, self.config.variables().chain(listen), checked_by_backends(role, check))
    }
}
