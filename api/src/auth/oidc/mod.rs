//! Access tokens of identity providers, as credentials: `Authorization: Bearer <JWT>`, and what the console's people sign in with.
//!
//! A token is checked by the keys that its provider publishes, read by the mapping of the configuration, and remembered by its hash
//! while it is good. Whether it was ended before its time is for the store to say, as of every credential.

mod diagnose;
mod fault;
mod fetch;
mod issued_access;
mod key_set;
mod map_claims;
mod provider;
mod read_token;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use configuration::{Config, SignInToken};
use model::access::hash_token;
use moka::Expiry;
use moka::sync::Cache;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::error::ApiError;

pub use diagnose::diagnose;
pub use fault::TokenFault;
pub(crate) use fetch::{fetch, plain};
pub use issued_access::IssuedAccess;
pub use provider::{Discovery, Provider};
use verify::SignInCheck;

/// Tokens that are remembered at most.
const MAX_REMEMBERED: u64 = 10_000;

/// Longest token, in characters.
const MAX_TOKEN: usize = 16 * 1024;

/// What a provider's code becomes.
#[derive(Debug, Deserialize)]
pub(crate) struct SignInTokens {
    id_token: String,
    access_token: Option<String>,
}

/// A token that was found good.
#[derive(Debug, Clone)]
struct Verified {
    access: Arc<IssuedAccess>,
    provider: Arc<Provider>,
    /// Of the keys that it was checked with.
    generation: u64,
}

/// Nothing is remembered for longer than it is good.
#[derive(Debug)]
struct UntilItEnds;

impl Expiry<[u8; 32], Verified> for UntilItEnds {
    fn expire_after_create(&self, _: &[u8; 32], verified: &Verified, _: Instant) -> Option<Duration> {
        // By the machine's clock, which only says how long it is kept: what is over is refused by the database's.
        Some((verified.access.until - Utc::now()).to_std().unwrap_or_default())
    }
}

/// The identity providers of the configuration.
#[derive(Debug)]
pub struct Issuers {
    providers: Vec<Arc<Provider>>,
    verified: Cache<[u8; 32], Verified>,
}

impl Issuers {
    /// Takes what is configured. Nobody is asked yet. Must be called inside the multi-threaded runtime.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let open = |(name, settings): (&String, &configuration::Issuer)| Provider::new(name, settings).map(Arc::new);
        Ok(Self {
            providers: config.oidc.iter().map(open).collect::<anyhow::Result<_>>()?,
            verified: cache::bounded(MAX_REMEMBERED).expire_after(UntilItEnds).build(),
        })
    }

    /// Returns all, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.iter()
    }

    /// Finds one by its section in the configuration.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name() == name)
    }

    /// Keeps the keys of all fresh until stopped.
    pub async fn run_until_stopped(self: Arc<Self>, stop: CancellationToken) {
        let keepers = self.providers.iter().map(|provider| Arc::clone(provider).keep_fresh());
        tokio::select! {
            () = stop.cancelled() => {}
            _ended = futures_util::future::join_all(keepers) => stop.cancelled().await,
        }
    }

    /// Reads a token that was sent.
    ///
    /// # Errors
    /// `unauthorized`, `forbidden` where it is good and leads to nobody, `unavailable` when its provider's keys are not known.
    pub async fn read(&self, token: &str) -> Result<Arc<IssuedAccess>, ApiError> {
        let hash = hash_token(token);
        if let Some(known) = self.verified.get(&hash)
            && known.provider.generation() == known.generation
        {
            return Ok(known.access);
        }
        match self.verify(token, hash).await {
            Ok(verified) => {
                self.verified.insert(hash, verified.clone());
                Ok(verified.access)
            }
            Err((issuer, fault)) => {
                metrics::counter!("waitless_oidc_refused_total", "issuer" => issuer.clone(), "why" => fault.label())
                    .increment(1);
                tracing::debug!(issuer, why = fault.label(), "a token of a provider was refused");
                Err(fault.problem().into())
            }
        }
    }

    /// Reads what a provider sent for a sign-in of the console: the id token must answer it, and be good at `now`, in database time. Who
    /// they are stands in the one that the configuration names.
    pub(crate) async fn read_sign_in(
        &self,
        provider: &Provider,
        tokens: &SignInTokens,
        nonce: &str,
        now: DateTime<Utc>,
    ) -> Result<IssuedAccess, TokenFault> {
        let client_id = provider.settings().client_id.as_deref().unwrap_or_default();
        let check = SignInCheck { client_id, nonce };
        let read = read_token::read(&tokens.id_token).ok_or(TokenFault::Shape)?;
        let (id_claims, _) = verify::verify(provider, &tokens.id_token, &read, Some(check)).await?;
        id_claims.check_time(provider, now)?;
        let hash = hash_token(&tokens.id_token);
        if provider.settings().sign_in_token == SignInToken::IdToken {
            return map_claims::map(provider, &id_claims, hash);
        }
        let token = tokens.access_token.as_deref().ok_or(TokenFault::Shape)?;
        let read = read_token::read(token).ok_or(TokenFault::Shape)?;
        let (claims, _) = verify::verify(provider, token, &read, None).await?;
        claims.check_time(provider, now)?;
        if claims.subject != id_claims.subject {
            return Err(TokenFault::SignIn);
        }
        map_claims::map(provider, &claims, hash)
    }

    async fn verify(&self, token: &str, hash: [u8; 32]) -> Result<Verified, (String, TokenFault)> {
        let nobody = |fault| (String::new(), fault);
        if token.len() > MAX_TOKEN {
            return Err(nobody(TokenFault::TooLong));
        }
        let read = read_token::read(token).ok_or_else(|| nobody(TokenFault::Shape))?;
        let provider = self
            .providers
            .iter()
            .find(|provider| provider.settings().issuer == read.issuer)
            .ok_or_else(|| nobody(TokenFault::Issuer))?;
        let of_it = |fault| (provider.name().to_owned(), fault);
        let (claims, generation) = verify::verify(provider, token, &read, None).await.map_err(of_it)?;
        let access = map_claims::map(provider, &claims, hash).map_err(of_it)?;
        Ok(Verified { access: Arc::new(access), provider: Arc::clone(provider), generation })
    }
}

/// Tells whether something that was sent may be a token of a provider: three parts, the first of which is JSON.
#[must_use]
pub fn is_token_shaped(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}
