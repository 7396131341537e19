//! Gateway, worker and notifier in one process, on one set of places.

use std::path::PathBuf;

use anyhow::Context as _;
use configuration::{Config, Mode, Secret, Secrets, Source};
use model::access::{hash_token, key_prefix, make_api_key};
use model::job::Caller;
use runtime::{Backends, BackgroundTasks};
use store::{NewApiKey, Scope, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::data_folder::{DataFolder, FolderLock};
use crate::demo;

/// Everything, ready to run.
pub(crate) struct AllInOne {
    gateway: api::Application,
    worker: report_worker::Application,
    notifier: notifier::Application,
    background: BackgroundTasks,
    /// Where the gateway can be reached from this machine.
    pub(crate) address: String,
    /// Opens everything of the tenant `default`.
    pub(crate) key: String,
    /// Opens the console, signed in with that key; once.
    pub(crate) sign_in_link: String,
    _lock: FolderLock,
}

impl AllInOne {
    /// Opens every place and prepares every service. `on_progress` hears how far the demo source is.
    ///
    /// # Errors
    /// Says what cannot be opened.
    pub(crate) async fn build(mut config: Config, on_progress: &mut dyn FnMut(u64, u64)) -> anyhow::Result<Self> {
        let folder = DataFolder::new(&config.service.data_dir);
        let lock = folder.lock()?;
        if config.service.link_secret.is_empty() {
            config.service.link_secret = Secrets::new(folder.link_secrets()?.into_iter().map(Secret::new));
        }
        if config.service.mode == Mode::Embedded {
            let needed = config.service.seal_keys.is_empty();
            config.service.seal_keys.extend(folder.seal_keys(needed)?.into_iter().map(Secret::new));
        }
        if let Some(path) = add_demo_source(&mut config) {
            demo::make_demo_source(&path, on_progress)?;
        }
        let (backends, background) = Backends::open(&config).await?;
        let key = ensure_key(backends.store.as_ref(), &folder).await?;
        let gateway = api::Application::build(&config, backends.clone()).await?;
        // The port may have been 0, and mails carry links.
        config.http.listen.set_port(gateway.port());
        let address = local_address(&config);
        if config.service.public_url.is_none() {
            config.service.public_url = Some(address.clone());
        }
        let worker = report_worker::Application::build(&config, backends.clone()).await?;
        let notifier = notifier::Application::build(&config, backends).await?;
        folder.write_address(&address)?;
        let sign_in_link = format!("{address}{}", gateway.sign_in_link(&key));
        Ok(Self { gateway, worker, notifier, background, address, key, sign_in_link, _lock: lock })
    }

    /// Serves until stopped; then the services finish or hand back what they run, and last the movers pass on what was committed.
    ///
    /// # Errors
    /// When a service ends by itself: then all end.
    pub(crate) async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let movers_stop = CancellationToken::new();
        let moving = tokio::spawn(self.background.run_until_stopped(movers_stop.clone()));
        let ending = stop.child_token();
        let mut services = JoinSet::new();
        services.spawn(self.gateway.run_until_stopped(ending.clone()));
        services.spawn(self.worker.run_until_stopped(ending.clone()));
        services.spawn(self.notifier.run_until_stopped(ending.clone()));
        let mut outcome = Ok(());
        while let Some(ended) = services.join_next().await {
            ending.cancel();
            let ended = ended.context("run a service").and_then(|ended| ended);
            if outcome.is_ok() {
                outcome = ended;
            }
        }
        movers_stop.cancel();
        moving.await.context("stop the relay and the sweeper")?;
        outcome
    }
}

/// Adds the source of the demo catalogue, where that is served and nobody configured another one. Returns its file.
pub(crate) fn add_demo_source(config: &mut Config) -> Option<PathBuf> {
    if config.catalogue.folder.is_some()
        || config.sources.contains_key("demo")
        || config.service.mode == Mode::Production
    {
        return None;
    }
    let path = demo::path_in(&config.service.data_dir);
    let source = Source::at(format!("sqlite:{}", path.display()));
    config.sources.insert("demo".to_owned(), source);
    Some(path)
}

/// Returns an address that works on this machine, also when the gateway listens on all of its addresses.
pub(crate) fn local_address(config: &Config) -> String {
    let mut listen = config.http.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}

/// Reads the key of the data folder and makes sure that the database knows it; makes one on first start.
async fn ensure_key(store: &dyn Store, folder: &DataFolder) -> anyhow::Result<String> {
    let kept = folder.read_key()?;
    if let Some(key) = &kept
        && let Some(known) = store.api_key_by_hash(hash_token(key)).await?
    {
        if known.revoked_at.is_some() || known.expired {
            let file = folder.key_file();
            tracing::warn!(
                "the key in {} was revoked or has expired; remove the file to get a new one",
                file.display()
            );
        }
        return Ok(key.clone());
    }
    let key = kept.unwrap_or_else(make_api_key);
    // The file first: a key that only the file knows is added at the next start.
    folder.write_key(&key)?;
    store
        .create_api_key(NewApiKey {
            id: Uuid::now_v7(),
            prefix: key_prefix(&key),
            hash: hash_token(&key),
            caller: Caller { tenant: "default".to_owned(), principal: "owner".to_owned() },
            scopes: Scope::ALL.to_vec(),
            attributes: model::attributes::Attributes::default(),
            roles: Vec::new(),
            valid_for: None,
        })
        .await
        .context("keep the API key")?;
    Ok(key)
}
