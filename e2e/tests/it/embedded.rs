//! A whole system in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use configuration::Config;
use runtime::outbox::Outbox;
use store::Store;
use testing::process::{Builder, Process};

use crate::stack::common_settings;

/// `waitless up` on a data folder, again and again.
pub(crate) struct Embedded {
    settings: Vec<(String, String)>,
    pub(crate) data: PathBuf,
    pub(crate) smtp: testing::smtp::Smtp,
}

impl Embedded {
    pub(crate) async fn prepare(folder: &Path) -> Self {
        let (smtp, data) = (testing::smtp::start().await.unwrap(), folder.join("data"));
        let mut settings = common_settings(folder);
        let more = [
            ("WAITLESS_SERVICE__DATA_DIR", data.display().to_string()),
            ("WAITLESS_MAIL__URL", smtp.url()),
            ("WAITLESS_MAIL__ALLOW", "*".to_owned()),
        ];
        settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Self { settings, data, smtp }
    }

    pub(crate) async fn up(&self) -> Process {
        self.process().start_ready().await.unwrap()
    }

    /// Prepares the process.
    pub(crate) fn process(&self) -> Builder {
        let builder = testing::process::binary("waitless").arg("up");
        self.settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }

    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.data.join("api-key")).unwrap().trim().to_owned()
    }

    pub(crate) fn config(&self) -> Config {
        Config::from_layers(None, self.settings.clone().into_iter()).unwrap()
    }

    /// Reads the database from beside, as a backup would.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        runtime::open_store(&self.config().database, Outbox::new().0).await.unwrap()
    }
}
