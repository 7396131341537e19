//! One identity provider: what it publishes, fetched, remembered, and kept while it is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use configuration::{Issuer, SignatureAlgorithm};
use model::access::hash_token;
use parking_lot::RwLock;
use reqwest::Client;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::fault::TokenFault;
use super::fetch::{check_address, client, fetch};
use super::key_set::{KeySet, PublishedKeys};

/// How often what it publishes is fetched: a key that it has withdrawn works no longer than that.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// It is not asked more often, whatever keys tokens name.
const PAUSE: Duration = Duration::from_secs(10);

/// How a provider describes itself at `/.well-known/openid-configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Discovery {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
    /// Where people sign in.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub token_endpoint: Option<String>,
    /// How clients say who they are.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether answers always say which provider they come from.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

#[derive(Debug)]
struct Published {
    discovery: Arc<Discovery>,
    keys: Arc<KeySet>,
}

/// A provider of the configuration.
#[derive(Debug)]
pub struct Provider {
    name: String,
    settings: Issuer,
    mark: String,
    client: Client,
    runtime: Handle,
    published: RwLock<Option<Published>>,
    /// Counts how often the keys have become others.
    generation: AtomicU64,
    /// When it was asked last; held while it is asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Provider {
    /// Takes what is configured. It is not asked yet. Must be called inside the multi-threaded runtime.
    ///
    /// # Errors
    /// When its certificates cannot be read.
    pub fn new(name: &str, settings: &Issuer) -> anyhow::Result<Self> {
        // Secrets are hidden in it, and change nothing of what tokens mean.
        let text = serde_json::to_string(settings).context("write an identity provider's settings")?;
        Ok(Self {
            name: name.to_owned(),
            mark: hash_token(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
            client: client(settings).with_context(|| format!("oidc.{name}"))?,
            settings: settings.clone(),
            runtime: Handle::current(),
            published: RwLock::new(None),
            generation: AtomicU64::new(0),
            asked: tokio::sync::Mutex::new(None),
        })
    }

    /// Returns its section in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its settings.
    #[must_use]
    pub fn settings(&self) -> &Issuer {
        &self.settings
    }

    /// Returns what is the same as long as its settings are.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Returns what asks it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Fetches what it publishes until dropped: every few minutes, and sooner while nothing is known.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.ask_if_due(None).await;
            let known = self.published.read().is_some();
            tokio::time::sleep(if known { FRESH } else { PAUSE }).await;
        }
    }

    /// Returns the keys of which one may have signed a token, and their generation. The provider is asked where it is none that is known.
    pub(super) async fn keys_for(
        &self,
        kid: Option<&str>,
        algorithm: SignatureAlgorithm,
    ) -> Result<(Arc<KeySet>, u64), TokenFault> {
        let current = || {
            let published = self.published.read();
            published.as_ref().map(|published| (Arc::clone(&published.keys), self.generation()))
        };
        let has = |keys: &KeySet| !keys.find(kid, algorithm).is_empty();
        let before = current();
        if let Some((keys, generation)) = before.as_ref().filter(|(keys, _)| has(keys)) {
            return Ok((Arc::clone(keys), *generation));
        }
        self.ask_if_due(before.map(|(_, generation)| generation)).await;
        let found = current().ok_or(TokenFault::Unavailable)?;
        if has(&found.0) { Ok(found) } else { Err(TokenFault::Key) }
    }

    /// Returns how it describes itself; it is asked where that is not known.
    pub(crate) async fn discovery(&self) -> Option<Arc<Discovery>> {
        let known = || self.published.read().as_ref().map(|published| Arc::clone(&published.discovery));
        if known().is_none() {
            self.ask_if_due(None).await;
        }
        known()
    }

    /// Asks it, unless that was done a moment ago, or by somebody else while this one waited.
    async fn ask_if_due(&self, known: Option<u64>) {
        let mut asked = self.asked.lock().await;
        let served = known.is_some_and(|generation| generation != self.generation());
        if served || asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *asked = Some(Instant::now());
        // On a task of its own: whoever asked may go away, and others wait for the answer.
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let answer = self.runtime.spawn(async move { ask(&client, &settings).await }).await;
        let outcome = match answer.context("ask an identity provider").flatten() {
            Ok((discovery, keys)) => {
                self.take(discovery, keys);
                "fetched"
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(issuer = self.name, error, "the keys of an identity provider cannot be fetched");
                "failed"
            }
        };
        metrics::counter!("waitless_oidc_keys_total", "issuer" => self.name.clone(), "outcome" => outcome).increment(1);
    }

    fn take(&self, discovery: Discovery, keys: KeySet) {
        let mut published = self.published.write();
        let same = published.as_ref().is_some_and(|before| *before.keys == keys);
        if !same {
            tracing::info!(issuer = self.name, keys = keys.len(), "the keys of an identity provider are new");
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        *published = Some(Published { discovery: Arc::new(discovery), keys: Arc::new(keys) });
    }
}

/// Fetches how a provider describes itself, and its keys.
pub(super) async fn ask(client: &Client, settings: &Issuer) -> anyhow::Result<(Discovery, KeySet)> {
    let place = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
    let discovery: Discovery = fetch(client.get(&place)).await.with_context(|| place.clone())?;
    ensure!(
        discovery.issuer == settings.issuer,
        "{place}: it calls itself `{}`, and the configuration `{}`; they must be the same to the letter",
        super::fetch::plain(&discovery.issuer),
        settings.issuer
    );
    let all = [&discovery.authorization_endpoint, &discovery.token_endpoint];
    for address in all.into_iter().flatten().chain([&discovery.jwks_uri]) {
        check_address(settings, address).with_context(|| place.clone())?;
    }
    let published: PublishedKeys =
        fetch(client.get(&discovery.jwks_uri)).await.with_context(|| discovery.jwks_uri.clone())?;
    let keys = KeySet::new(published).with_context(|| discovery.jwks_uri.clone())?;
    Ok((discovery, keys))
}
