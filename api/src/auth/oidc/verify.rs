//! Checks that a token is its provider's, and was made for this service. Whether its time is over is judged by the database's clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use configuration::SignatureAlgorithm;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde_json::{Map, Value};

use super::fault::TokenFault;
use super::provider::Provider;
use super::read_token::ReadToken;

/// What a good token says.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    pub(super) all: Value,
    pub(super) subject: String,
    pub(super) issued_at: DateTime<Utc>,
    pub(super) not_before: Option<DateTime<Utc>>,
    pub(super) expires_at: DateTime<Utc>,
}

/// What an id token must say beside: it answers one sign-in of one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignInCheck<'a> {
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

/// Checks signature, issuer and audience, and that what every token must have is there. Returns what it says, and the generation of the
/// keys that it was checked with. For a sign-in it must be an id token of this client.
///
/// # Errors
/// The first thing that is wrong.
pub(super) async fn verify(
    provider: &Provider,
    token: &str,
    read: &ReadToken,
    sign_in: Option<SignInCheck<'_>>,
) -> Result<(Claims, u64), TokenFault> {
    if read.kind.as_deref().is_some_and(|kind| !matches!(kind, "jwt" | "at+jwt" | "application/at+jwt")) {
        return Err(TokenFault::Kind);
    }
    let algorithm: SignatureAlgorithm = read.algorithm.parse().map_err(|_| TokenFault::Algorithm)?;
    if !provider.settings().algorithms.contains(&algorithm) {
        return Err(TokenFault::Algorithm);
    }
    let (keys, generation) = provider.keys_for(read.kid.as_deref(), algorithm).await?;
    let mut wanted = Validation::new(name_of(algorithm));
    wanted.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    wanted.set_issuer(&[&provider.settings().issuer]);
    match sign_in {
        Some(check) => wanted.set_audience(&[check.client_id]),
        None => wanted.set_audience(&provider.settings().audience),
    }
    wanted.validate_exp = false;
    let mut fault = TokenFault::Key;
    for key in keys.find(read.kid.as_deref(), algorithm) {
        match decode::<Map<String, Value>>(token, key, &wanted) {
            Ok(good) => {
                let claims = Claims::read(good.claims)?;
                if let Some(check) = sign_in {
                    claims.check_sign_in(check)?;
                }
                return Ok((claims, generation));
            }
            Err(error) => fault = fault_of(error.kind(), token),
        }
    }
    Err(fault)
}

fn fault_of(kind: &ErrorKind, token: &str) -> TokenFault {
    match kind {
        // Header and claims were read before.
        ErrorKind::InvalidSignature | ErrorKind::Base64(_) => TokenFault::Signature,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => match name.as_str() {
            "aud" => TokenFault::Claim("aud"),
            "exp" => TokenFault::Claim("exp"),
            "sub" => TokenFault::Claim("sub"),
            _ => TokenFault::Claim("iss"),
        },
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        _ => mistyped(token).map_or(TokenFault::Shape, TokenFault::Claim),
    }
}

/// Finds the claim that is of another type than the standard gives it: what is read as a whole fails without a word of which.
fn mistyped(token: &str) -> Option<&'static str> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    ["sub", "iss"].into_iter().find(|name| claims.get(name).is_some_and(|value| !value.is_string()))
}

const fn name_of(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::RS256 => Algorithm::RS256,
        SignatureAlgorithm::RS384 => Algorithm::RS384,
        SignatureAlgorithm::RS512 => Algorithm::RS512,
        SignatureAlgorithm::PS256 => Algorithm::PS256,
        SignatureAlgorithm::PS384 => Algorithm::PS384,
        SignatureAlgorithm::PS512 => Algorithm::PS512,
        SignatureAlgorithm::ES256 => Algorithm::ES256,
        SignatureAlgorithm::ES384 => Algorithm::ES384,
        SignatureAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

impl Claims {
    fn read(all: Map<String, Value>) -> Result<Self, TokenFault> {
        let subject = all.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
        let subject = subject.ok_or(TokenFault::Claim("sub"))?.to_owned();
        let time = |name| all.get(name).map(|value| read_time(value).ok_or(TokenFault::Claim(name))).transpose();
        let (expires_at, issued_at, not_before) = (time("exp")?, time("iat")?, time("nbf")?);
        Ok(Self {
            expires_at: expires_at.ok_or(TokenFault::Claim("exp"))?,
            // Without it nobody could say whether it was made before all of its holder's were ended.
            issued_at: issued_at.ok_or(TokenFault::Claim("iat"))?,
            not_before,
            subject,
            all: Value::Object(all),
        })
    }

    /// Tells whether it is good at a time, as far as clocks agree.
    pub(super) fn check_time(&self, provider: &Provider, now: DateTime<Utc>) -> Result<(), TokenFault> {
        let leeway = provider.settings().leeway.unwrap_or_default();
        let begins = self.not_before.map_or(self.issued_at, |time| time.max(self.issued_at));
        if begins - leeway > now {
            return Err(TokenFault::Claim(if self.issued_at - leeway > now { "iat" } else { "nbf" }));
        }
        if self.expires_at + leeway <= now { Err(TokenFault::Claim("exp")) } else { Ok(()) }
    }

    /// Several audiences need one that was asked for in the first place.
    fn check_sign_in(&self, check: SignInCheck<'_>) -> Result<(), TokenFault> {
        let several = self.all["aud"].as_array().is_some_and(|audiences| audiences.len() > 1);
        let party = self.all["azp"].as_str();
        let ours = party.map_or(!several, |party| party == check.client_id);
        if ours && self.all["nonce"].as_str() == Some(check.nonce) { Ok(()) } else { Err(TokenFault::SignIn) }
    }
}

/// Seconds since 1970, whole or not.
fn read_time(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && (0.0..253_402_300_800.0).contains(seconds))?;
    // Below 2^53, so that nothing is lost but the fraction.
    #[expect(clippy::cast_possible_truncation, reason = "its bounds are checked")]
    DateTime::from_timestamp(seconds as i64, 0)
}
