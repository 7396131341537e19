//! What a token says of itself, before anything of it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// What is needed to find the key that it must be signed by.
#[derive(Debug)]
pub(super) struct ReadToken {
    pub(super) issuer: String,
    pub(super) algorithm: String,
    pub(super) kid: Option<String>,
    /// `typ`, in lower case.
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Payload {
    iss: String,
}

/// Reads it. `None`: it is no JWT that could be checked.
pub(super) fn read(token: &str) -> Option<ReadToken> {
    let (header, rest) = token.split_once('.')?;
    let (payload, _signature) = rest.split_once('.')?;
    let Header { alg, kid, typ, crit } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let Payload { iss } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    if crit.is_some() {
        return None;
    }
    Some(ReadToken { issuer: iss, algorithm: alg, kid, kind: typ.map(|typ| typ.to_ascii_lowercase()) })
}
