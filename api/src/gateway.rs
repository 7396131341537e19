//! What every handler shares.

use std::collections::HashMap;
use std::sync::Arc;

use broker::Broker;
use configuration::{Config, Secrets};
use model::locale::Tz;
use model::seal::SealKeys;
use runtime::Backends;
use runtime::Catalogue;
use storage::Storage;
use store::{GroupCommit, Store};
use tokio_util::sync::CancellationToken;

use crate::admin::backlog::BacklogReader;
use crate::audit::Refusals;
use crate::auth::oidc::Issuers;
use crate::auth::{Authenticator, Lifelines, Roles};
use crate::forecast::Forecaster;
use crate::in_flight::InFlight;
use crate::limits::SubmitLimits;
use crate::links::{LinkPages, RegenerationLimiter};
use crate::operations::LastReadiness;
use crate::own_address::OwnAddress;
use crate::recipients::ServiceRecipients;
use crate::report_versions::ReportVersions;
use crate::schedules::calendars::Calendars;
use crate::service_status::StatusBoard;
use crate::session::Sessions;
use crate::watch::Hub;

/// Places, caches and settings of one gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The truth, with concurrent submits put into one statement.
    pub group_commit: GroupCommit,
    /// For broadcasts and queue depths.
    pub broker: Arc<dyn Broker>,
    /// Where artifacts rest.
    pub storage: Arc<Storage>,
    /// Report definitions in service.
    pub catalogue: Arc<Catalogue>,
    /// Report versions that are saved, and what of them is sensitive.
    pub report_versions: ReportVersions,
    /// Who was let in within the last seconds.
    pub authenticator: Authenticator,
    /// What goes on by whose leave, and ends with it.
    pub lifelines: Arc<Lifelines>,
    /// The identity providers whose tokens are taken.
    pub issuers: Arc<Issuers>,
    /// Credentials that opened nothing, to be written down.
    pub refusals: Refusals,
    /// Browsers that signed in.
    pub sessions: Sessions,
    /// How much each tenant may do.
    pub limits: SubmitLimits,
    /// The pages behind links.
    pub link_pages: LinkPages,
    /// How often reports may be made again for whoever holds an expired link.
    pub regenerations: RegenerationLimiter,
    /// When jobs will be ready.
    pub forecaster: Arc<Forecaster>,
    /// Who watches what.
    pub hub: Arc<Hub>,
    /// `[http]`
    pub http: configuration::Http,
    /// Base of every link.
    pub own_address: Arc<OwnAddress>,
    /// Link tokens and cursors are derived from the first, and open with all.
    pub link_secret: Secrets,
    /// Seals sensitive values.
    pub seal_keys: SealKeys,
    /// To whom jobs may have something sent.
    pub recipients: ServiceRecipients,
    /// Whose days off schedules know.
    pub calendars: Calendars,
    /// The zones in which tenants tell the time.
    zones: Zones,
    /// Whether spans are exported, and so must know their parents.
    pub exports_spans: bool,
    /// The multi-threaded runtime, for work that must not hang on one HTTP thread.
    pub runtime: tokio::runtime::Handle,
    /// What `/readyz` said last.
    pub readiness: LastReadiness,
    /// What the page of the status shows.
    pub status_board: StatusBoard,
    /// How much there is to do.
    pub backlog: BacklogReader,
    /// Requests whose answer is not complete.
    pub in_flight: InFlight,
    /// Cancelled when the gateway was told to stop: it is not ready any more, and answers close their connections.
    pub stopping: CancellationToken,
    /// Cancelled `http.close_after` later: watchers leave, and nobody is let in.
    pub draining: CancellationToken,
}

/// The zones in which tenants tell the time.
#[derive(Debug)]
struct Zones {
    usual: Tz,
    of_tenants: HashMap<String, Tz>,
}

impl Zones {
    fn new(config: &Config) -> Self {
        let of_tenants = config.tenants.iter().map(|(name, brand)| (name.clone(), brand.time_zone));
        Self { usual: config.mail.brand.time_zone, of_tenants: of_tenants.collect() }
    }
}

impl Gateway {
    /// Returns the zone in which a tenant tells the time.
    #[must_use]
    pub fn zone_of(&self, tenant: &str) -> Tz {
        self.zones.of_tenants.get(tenant).copied().unwrap_or(self.zones.usual)
    }

    /// Puts the parts together. Must be called inside the multi-threaded runtime.
    ///
    /// # Errors
    /// When a catalogue of messages is not as it should be, or there is no secret that sessions, links and seals are made from.
    pub fn new(config: &Config, backends: Backends, catalogue: Arc<Catalogue>) -> anyhow::Result<Self> {
        let limits = SubmitLimits::new(config, Arc::clone(&backends.store));
        let hub = Hub::new(config.http.max_watchers, config.http.max_watchers_per_principal);
        let own_address = Arc::new(OwnAddress::new(config));
        anyhow::ensure!(
            !config.service.link_secret.is_empty(),
            "service.link_secret is empty: sessions and links could be guessed"
        );
        let seal_keys = config.service.derive_seal_keys()?;
        tracing::info!(keys = ?seal_keys.ids(), "sensitive values are sealed with the first of these keys");
        let roles = Roles::new(&config.roles);
        let issuers = Arc::new(Issuers::new(config)?);
        let forecaster = Arc::new(Forecaster::new(Arc::clone(&backends.store)));
        Ok(Self {
            authenticator: Authenticator::new(Arc::clone(&backends.store), roles.clone()),
            lifelines: Arc::new(Lifelines::new(Arc::clone(&backends.store), roles)),
            refusals: Refusals::default(),
            sessions: Sessions::new(&config.service, Arc::clone(&own_address), Arc::clone(&issuers)),
            issuers,
            report_versions: ReportVersions::new(Arc::clone(&backends.store)),
            store: backends.store,
            group_commit: backends.group_commit,
            broker: backends.broker,
            storage: backends.storage,
            catalogue,
            limits,
            link_pages: LinkPages::read(config)?,
            regenerations: RegenerationLimiter::default(),
            forecaster,
            hub: Arc::new(hub),
            http: config.http.clone(),
            own_address,
            link_secret: config.service.link_secret.clone(),
            seal_keys,
            recipients: ServiceRecipients::new(config),
            calendars: Calendars::read(config)?,
            zones: Zones::new(config),
            exports_spans: config.telemetry.otlp_endpoint.is_some(),
            runtime: tokio::runtime::Handle::current(),
            readiness: LastReadiness::default(),
            status_board: StatusBoard::default(),
            backlog: BacklogReader::new(config.broker.hand_off_after),
            in_flight: InFlight::default(),
            stopping: CancellationToken::new(),
            draining: CancellationToken::new(),
        })
    }
}
