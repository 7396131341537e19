//! What every handler shares.

use std::sync::Arc;

use broker::Broker;
use configuration::{Config, Secret};
use runtime::Backends;
use runtime::Catalogue;
use storage::Storage;
use store::{GroupCommit, Store};
use tokio_util::sync::CancellationToken;

use crate::arrival::Arrivals;
use crate::auth::Keys;
use crate::limits::Limits;
use crate::links::{Languages, Remakes};
use crate::reports::Versions;
use crate::session::Sessions;
use crate::under_way::UnderWay;
use crate::watch::Hub;

/// Places, caches and settings of one gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The truth, with concurrent submits put into one statement.
    pub jobs: GroupCommit,
    /// For broadcasts and queue depths.
    pub broker: Arc<dyn Broker>,
    /// Where artifacts rest.
    pub storage: Arc<Storage>,
    /// Report definitions in service.
    pub catalogue: Arc<Catalogue>,
    /// Report versions that are saved, and what of them is sensitive.
    pub versions: Versions,
    /// API keys seen in the last seconds.
    pub keys: Keys,
    /// Browsers that signed in.
    pub sessions: Sessions,
    /// How much each tenant may do.
    pub limits: Limits,
    /// What the pages of links say.
    pub languages: Languages,
    /// Reports that were made again for whoever held an expired link.
    pub remakes: Remakes,
    /// When jobs will be ready.
    pub arrivals: Arc<Arrivals>,
    /// Who watches what.
    pub hub: Arc<Hub>,
    /// `[http]`
    pub http: configuration::Http,
    /// Base of every link; `None`: taken from the request.
    pub public_url: Option<String>,
    /// Link tokens and cursors are derived from it.
    pub link_secret: Secret,
    /// Addresses mail may go to.
    pub mail_allow: Vec<String>,
    /// Whether spans are exported, and so must know their parents.
    pub exports_spans: bool,
    /// The multi-threaded runtime, for work that must not hang on one HTTP thread.
    pub runtime: tokio::runtime::Handle,
    /// Requests whose answer is not complete.
    pub under_way: UnderWay,
    /// Cancelled when the gateway was told to stop: watchers leave, answers close their connections.
    pub draining: CancellationToken,
}

impl Gateway {
    /// Puts the parts together. Must be called inside the multi-threaded runtime.
    ///
    /// # Errors
    /// When a catalogue of messages is not as it should be.
    pub fn new(config: &Config, backends: Backends, catalogue: Arc<Catalogue>) -> anyhow::Result<Self> {
        let limits = Limits::new(&config.http, Arc::clone(&backends.store));
        let hub = Hub::new(config.http.max_watchers, config.http.max_watchers_per_principal);
        let arrivals = Arc::new(Arrivals::new(Arc::clone(&backends.store)));
        Ok(Self {
            keys: Keys::new(Arc::clone(&backends.store)),
            sessions: Sessions::new(&config.service),
            versions: Versions::new(Arc::clone(&backends.store)),
            store: backends.store,
            jobs: backends.group_commit,
            broker: backends.broker,
            storage: backends.storage,
            catalogue,
            limits,
            languages: Languages::read(config)?,
            remakes: Remakes::default(),
            arrivals,
            hub: Arc::new(hub),
            http: config.http.clone(),
            public_url: config.service.public_url.clone(),
            link_secret: config.service.link_secret.clone(),
            mail_allow: config.mail.allow.clone(),
            exports_spans: config.telemetry.otlp_endpoint.is_some(),
            runtime: tokio::runtime::Handle::current(),
            under_way: UnderWay::default(),
            draining: CancellationToken::new(),
        })
    }
}
