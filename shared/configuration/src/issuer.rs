//! Identity providers whose tokens open this service, and where the console's people sign in: `[oidc.<name>]`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Secret;
use super::encoding::{choice, duration, duration_or_none, flag, optional, texts, word};
use super::paths::certificates;

/// `[oidc.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// As its tokens say it in `iss`, to the letter; never empty once loaded.
    #[serde(default, deserialize_with = "plain")]
    pub issuer: String,
    /// Stands on the button of the sign-in page; the name when empty, once loaded.
    #[serde(default, deserialize_with = "plain")]
    pub title: String,
    /// One of these must be in `aud`.
    #[serde(default, deserialize_with = "texts")]
    pub audience: Vec<String>,
    #[serde(default = "usual_algorithms", deserialize_with = "algorithms")]
    pub algorithms: Vec<SignatureAlgorithm>,
    /// How far the provider's clock may be from the database's. `None`: not at all.
    #[serde(default = "usual_leeway", with = "duration_or_none")]
    pub leeway: Option<Duration>,
    /// Whether it may be asked over plain HTTP, though it is not on this machine.
    #[serde(default, deserialize_with = "flag")]
    pub allow_http: bool,
    /// Trusted beside the platform's.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "certificates")]
    pub ca_file: Option<PathBuf>,
    /// Everybody's tenant.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "word")]
    pub tenant: Option<String>,
    /// Where a token says the tenant.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "claim")]
    pub tenant_claim: Option<String>,
    /// What the claim may say; anything when empty.
    #[serde(default, deserialize_with = "texts")]
    pub tenants: Vec<String>,
    /// Stands before what the claim says.
    #[serde(default, deserialize_with = "plain")]
    pub tenant_prefix: String,
    #[serde(default = "usual_principal", deserialize_with = "plain")]
    pub principal_claim: String,
    /// Stands before what the claim says. Always there once loaded.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub principal_prefix: Option<String>,
    /// What everybody may.
    #[serde(default, deserialize_with = "texts")]
    pub scopes: Vec<String>,
    /// Where a token says what they may.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "claim")]
    pub scopes_claim: Option<String>,
    /// What its words begin with that count.
    #[serde(default = "usual_scopes_prefix", deserialize_with = "plain")]
    pub scopes_prefix: String,
    /// Where a token says whose groups they are in.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "claim")]
    pub groups_claim: Option<String>,
    /// What the people of a group may.
    #[serde(default, deserialize_with = "pairs")]
    pub group_scopes: Vec<Assignment>,
    /// Everybody's roles.
    #[serde(default, deserialize_with = "texts")]
    pub roles: Vec<String>,
    /// Where a token says the roles.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "claim")]
    pub roles_claim: Option<String>,
    /// What its words begin with that count.
    #[serde(default, deserialize_with = "plain")]
    pub roles_prefix: String,
    /// The roles of the people of a group.
    #[serde(default, deserialize_with = "pairs")]
    pub group_roles: Vec<Assignment>,
    /// Which claim each attribute is.
    #[serde(default, deserialize_with = "pairs")]
    pub attributes: Vec<Assignment>,
    /// As whom the console sends people to sign in. `None`: it does not.
    #[serde(default, serialize_with = "optional::serialize", deserialize_with = "word")]
    pub client_id: Option<String>,
    /// Of a confidential client.
    #[serde(default, with = "optional")]
    pub client_secret: Option<Secret>,
    /// What is asked for at the sign-in.
    #[serde(default = "usual_sign_in_scopes", deserialize_with = "texts")]
    pub sign_in_scopes: Vec<String>,
    #[serde(default = "usual_sign_in_token", deserialize_with = "choice")]
    pub sign_in_token: SignInToken,
    #[serde(default = "usual_session_ttl", with = "duration")]
    pub session_ttl: Duration,
    /// For so long after they were last let in, what is theirs may be run again by others.
    #[serde(default = "usual_owner_for", with = "duration")]
    pub owner_for: Duration,
}

impl Issuer {
    /// Tells whether a setting is a list.
    pub(super) fn is_list(setting: &str) -> bool {
        const LISTS: [&str; 9] = [
            "audience",
            "algorithms",
            "tenants",
            "scopes",
            "group_scopes",
            "roles",
            "group_roles",
            "attributes",
            "sign_in_scopes",
        ];
        LISTS.contains(&setting)
    }
}

/// How a token may be signed: by a key that the provider alone holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    RS256,
    /// The same with SHA-384.
    RS384,
    /// The same with SHA-512.
    RS512,
    /// RSA with PSS and SHA-256.
    PS256,
    /// The same with SHA-384.
    PS384,
    /// The same with SHA-512.
    PS512,
    /// ECDSA on P-256.
    ES256,
    /// ECDSA on P-384.
    ES384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SignatureAlgorithm {
    /// All, with the names that tokens give them.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDsa),
    ];
}

impl FromStr for SignatureAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, algorithm)| algorithm).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            if matches!(text, "none" | "HS256" | "HS384" | "HS512") {
                let why = "whoever can check such a token can make one";
                format!("`{text}` is refused: {why}; there are {names}")
            } else {
                format!("`{text}` is not a known algorithm; there are {names}")
            }
        })
    }
}

/// Which of the tokens of a sign-in says who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInToken {
    /// The one that is made for this client.
    IdToken,
    /// The one that requests carry too.
    AccessToken,
}

/// `name = words`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// A group, or an attribute.
    pub name: String,
    /// Scopes or roles; or one claim.
    pub words: Vec<String>,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names of groups may have `=` in them, what they are given never has.
        let (name, words) = text.rsplit_once('=').unwrap_or_default();
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let name = name.trim().to_owned();
        if name.is_empty() || words.is_empty() {
            return Err(format!("`{text}` assigns nothing; write for example \"name = word other\""));
        }
        Ok(Self { name, words })
    }
}

impl Serialize for Assignment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{} = {}", self.name, self.words.join(" ")))
    }
}

fn usual_algorithms() -> Vec<SignatureAlgorithm> {
    use SignatureAlgorithm::{ES256, EdDsa, PS256, RS256};
    vec![RS256, PS256, ES256, EdDsa]
}

fn usual_leeway() -> Option<Duration> {
    Some(Duration::from_secs(5))
}

fn usual_principal() -> String {
    "sub".to_owned()
}

fn usual_scopes_prefix() -> String {
    "waitless:".to_owned()
}

fn usual_sign_in_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).into()
}

const fn usual_sign_in_token() -> SignInToken {
    SignInToken::IdToken
}

const fn usual_session_ttl() -> Duration {
    Duration::from_secs(8 * 60 * 60)
}

const fn usual_owner_for() -> Duration {
    Duration::from_secs(30 * 24 * 60 * 60)
}

fn algorithms<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SignatureAlgorithm>, D::Error> {
    let found: Result<Vec<_>, _> = texts(from)?.iter().map(|text| text.parse()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(D::Error::custom("at least one is needed")),
        found => found.map_err(D::Error::custom),
    }
}

fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Assignment>, D::Error> {
    let found: Result<Vec<_>, _> = texts(from)?.iter().map(|text| text.parse()).collect();
    found.map_err(D::Error::custom)
}

/// Reads one line.
fn plain<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.chars().any(char::is_control) {
        return Err(D::Error::custom("must be one line"));
    }
    Ok(text)
}

fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    plain(from).map(Some)
}

/// Reads the name of a claim, or a JSON pointer to one, if there is one.
fn claim<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    plain(from).map(|text| Some(text).filter(|text| !text.is_empty()))
}
