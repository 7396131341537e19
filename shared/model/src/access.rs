//! What opens doors: API keys and link tokens, both kept as hashes only, and sealed sessions. Also cursors and what makes two
//! requests the same, or two jobs identical.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::job::{Caller, Params};

/// Returns the SHA-256 of a key or token, as the store keeps it.
#[must_use]
pub fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Makes a new API key of 256 random bits: `wl_` and 43 characters.
#[must_use]
pub fn make_api_key() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("wl_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the part of an API key that may be shown.
#[must_use]
pub fn key_prefix(key: &str) -> String {
    key.chars().take(10).collect()
}

/// Derives the token of a link: 43 characters that nobody can guess without the secret.
///
/// Derived and not drawn: a link can be shown and mailed again, while the database holds only its hash.
#[must_use]
pub fn link_token(secret: &str, link_id: Uuid) -> String {
    let Some(mac) = session_mac(secret, b"waitless link v1", link_id.as_bytes()) else { return String::new() };
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Returns the token of a link under whichever of the secrets the kept hash is of; where none fits, or no hash is known, the first one's.
#[must_use]
pub fn kept_link_token<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    link_id: Uuid,
    kept: Option<[u8; 32]>,
) -> String {
    let mut secrets = secrets.into_iter().peekable();
    let Some(first) = secrets.next() else { return String::new() };
    let token = link_token(first, link_id);
    let fits = |token: &str| kept.is_none_or(|kept| hash_token(token) == kept);
    if secrets.peek().is_none() || fits(&token) {
        return token;
    }
    secrets.map(|secret| link_token(secret, link_id)).find(|token| fits(token)).unwrap_or(token)
}

/// Tells whether a token is a link's under one of these secrets.
#[must_use]
pub fn is_link_token<'s>(secrets: impl IntoIterator<Item = &'s str>, link_id: Uuid, token: &str) -> bool {
    secrets.into_iter().any(|secret| link_token(secret, link_id) == token)
}

/// Returns what makes two submits the same: SHA-256 over who asks and the body, whatever the order of its fields.
#[must_use]
pub fn hash_request(caller: &Caller, body: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [&caller.tenant, &caller.principal] {
        hash_text(&mut hash, part);
    }
    hash_value(&mut hash, body);
    hash.finalize().into()
}

/// Returns what makes two jobs identical: SHA-256 over the texts, in their order, and the parameters, in any order.
#[must_use]
pub fn hash_run<'a>(texts: impl IntoIterator<Item = &'a str>, params: &Params) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"waitless run v1");
    for text in texts {
        hash_text(&mut hash, text);
    }
    hash_fields(&mut hash, params);
    hash.finalize().into()
}

/// Lengths go in front, so that no two different sequences of texts make the same bytes.
fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

fn hash_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => {
            hash.update(b"0");
            hash_text(hash, &number.to_string());
        }
        Value::String(text) => {
            hash.update(b"s");
            hash_text(hash, text);
        }
        Value::Array(items) => {
            hash.update(b"a");
            hash.update((items.len() as u64).to_be_bytes());
            for item in items {
                hash_value(hash, item);
            }
        }
        Value::Object(fields) => hash_fields(hash, fields),
    }
}

fn hash_fields(hash: &mut Sha256, fields: &Params) {
    hash.update(b"o");
    hash.update((fields.len() as u64).to_be_bytes());
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    for (name, field) in sorted {
        hash_text(hash, name);
        hash_value(hash, field);
    }
}

/// A browser that signed in: which key it did so with, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Names it, in every cookie it is given while it lasts.
    pub id: Uuid,
    /// SHA-256 of the API key. The session can do what the key can, and ends with it.
    pub key_hash: [u8; 32],
    /// Unix time in seconds.
    pub until: i64,
}

/// What opens a WebSocket where no other credentials can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it was asked for with: what it opens ends with that.
    pub holder: TicketHolder,
    /// Unix time in seconds.
    pub until: i64,
}

/// What a ticket was asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketHolder {
    /// An API key: its SHA-256.
    Key([u8; 32]),
    /// The session of a browser.
    Session(Session),
    /// A token, as it was sent.
    Token(String),
}

/// Makes the token of a session. It holds no key, and nobody can make one without the secret.
#[must_use]
pub fn seal_session(secret: &str, session: Session) -> String {
    seal(secret, SESSION, write_session(session))
}

/// Reads back what [`seal_session`] made. `None` when it was altered or sealed with none of these secrets; whether it is over is for
/// the caller to see.
#[must_use]
pub fn open_session<'s>(secrets: impl IntoIterator<Item = &'s str>, token: &str) -> Option<Session> {
    read_session(&open(secrets, SESSION, token)?)
}

fn write_session(session: Session) -> Vec<u8> {
    let mut body = session.key_hash.to_vec();
    body.extend_from_slice(&session.until.to_be_bytes());
    body.extend_from_slice(session.id.as_bytes());
    body
}

fn read_session(body: &[u8]) -> Option<Session> {
    let (key_hash, body) = body.split_first_chunk::<32>()?;
    let (until, id) = body.split_first_chunk::<8>()?;
    Some(Session { id: Uuid::from_slice(id).ok()?, key_hash: *key_hash, until: i64::from_be_bytes(*until) })
}

/// Makes a ticket: like a session, and good for nothing that a session is good for.
#[must_use]
pub fn seal_ticket(secret: &str, ticket: &Ticket) -> String {
    let mut body = ticket.until.to_be_bytes().to_vec();
    match &ticket.holder {
        TicketHolder::Key(hash) => {
            body.push(b'k');
            body.extend_from_slice(hash);
        }
        TicketHolder::Session(session) => {
            body.push(b's');
            body.extend_from_slice(&write_session(*session));
        }
        TicketHolder::Token(token) => {
            body.push(b't');
            body.extend_from_slice(token.as_bytes());
        }
    }
    seal(secret, TICKET, body)
}

/// Reads back what [`seal_ticket`] made, as [`open_session`] does.
#[must_use]
pub fn open_ticket<'s>(secrets: impl IntoIterator<Item = &'s str>, ticket: &str) -> Option<Ticket> {
    let body = open(secrets, TICKET, ticket)?;
    let (until, body) = body.split_first_chunk::<8>()?;
    let (kind, body) = body.split_first()?;
    let holder = match kind {
        b'k' => TicketHolder::Key(body.try_into().ok()?),
        b's' => TicketHolder::Session(read_session(body)?),
        b't' => TicketHolder::Token(std::str::from_utf8(body).ok()?.to_owned()),
        _ => return None,
    };
    Some(Ticket { holder, until: i64::from_be_bytes(*until) })
}

/// Signs what a token says. What that is, is for whoever makes tokens to know.
#[must_use]
pub fn seal_token(secret: &str, body: Vec<u8>) -> String {
    seal(secret, TOKEN, body)
}

/// Reads back what [`seal_token`] signed, as [`open_session`] does.
#[must_use]
pub fn open_token<'s>(secrets: impl IntoIterator<Item = &'s str>, token: &str) -> Option<Vec<u8>> {
    open(secrets, TOKEN, token)
}

const TOKEN: &[u8] = b"waitless token v1";
const SESSION: &[u8] = b"waitless session v2";
const TICKET: &[u8] = b"waitless ticket v3";

/// Length of the mark that nobody can make without the secret.
const MARK: usize = 32;

pub(crate) fn seal(secret: &str, purpose: &[u8], mut body: Vec<u8>) -> String {
    let Some(mac) = session_mac(secret, purpose, &body) else { return String::new() };
    body.extend_from_slice(&mac.finalize().into_bytes());
    URL_SAFE_NO_PAD.encode(body)
}

pub(crate) fn open<'s>(secrets: impl IntoIterator<Item = &'s str>, purpose: &[u8], token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (body, mark) = bytes.split_at_checked(bytes.len().checked_sub(MARK)?)?;
    let fits = |secret| session_mac(secret, purpose, body).is_some_and(|mac| mac.verify_slice(mark).is_ok());
    secrets.into_iter().any(fits).then(|| body.to_vec())
}

/// HMAC takes keys of any length, so this is never `None`.
fn session_mac(secret: &str, purpose: &[u8], body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(purpose);
    mac.update(body);
    Some(mac)
}

/// Makes a token of 256 random bits that signs a browser in once.
#[must_use]
pub fn make_once_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Makes an opaque cursor of `position` that only works again where this secret is known, and for the same `purpose`.
#[must_use]
pub fn seal_cursor(secret: &str, purpose: &str, position: &[u8]) -> String {
    let mut bytes = position.to_vec();
    bytes.extend_from_slice(&cursor_mark(secret, purpose, position));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads back what [`seal_cursor`] made. `None` when it was altered, or made for another purpose.
#[must_use]
pub fn open_cursor<'s>(secrets: impl IntoIterator<Item = &'s str>, purpose: &str, cursor: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (position, mark) = bytes.split_at_checked(bytes.len().checked_sub(CURSOR_MARK)?)?;
    let fits = |secret| cursor_mark(secret, purpose, position) == mark;
    secrets.into_iter().any(fits).then(|| position.to_vec())
}

/// A cursor opens no door (every query is limited to its caller), so that a short mark is enough.
const CURSOR_MARK: usize = 8;

fn cursor_mark(secret: &str, purpose: &str, position: &[u8]) -> [u8; CURSOR_MARK] {
    let mut mark = [0; CURSOR_MARK];
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return mark };
    mac.update(b"waitless cursor v1");
    mac.update(&(purpose.len() as u64).to_be_bytes());
    mac.update(purpose.as_bytes());
    mac.update(position);
    for (to, from) in mark.iter_mut().zip(mac.finalize().into_bytes()) {
        *to = from;
    }
    mark
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ana() -> Caller {
        Caller { tenant: "acme".into(), principal: "ana".into() }
    }

    #[test]
    fn the_order_of_fields_does_not_change_a_request() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": [1, "x"], "d": null}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": {"d": null, "c": [1, "x"]}, "a": 1}"#).unwrap();
        assert_eq!(hash_request(&ana(), &one), hash_request(&ana(), &other));
    }

    #[test]
    fn another_body_tenant_or_principal_is_another_request() {
        let hash = hash_request(&ana(), &json!({"a": ["b", "c"]}));
        assert_ne!(hash, hash_request(&ana(), &json!({"a": ["bc"]})));
        assert_ne!(hash, hash_request(&ana(), &json!({"a": ["c", "b"]})));
        let moved = Caller { tenant: "acmea".into(), principal: "na".into() };
        assert_ne!(hash, hash_request(&moved, &json!({"a": ["b", "c"]})));
    }

    #[test]
    fn an_altered_session_does_not_open() {
        let session = Session { id: Uuid::now_v7(), key_hash: hash_token("wl_test"), until: 1_900_000_000 };
        let token = seal_session("secret", session);
        assert_eq!(open_session(["secret"], &token), Some(session));
        assert_eq!(open_session(["other"], &token), None);
        for index in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(open_session(["secret"], &altered), None, "{altered}");
        }
        for none in ["", "A", &token[..60], &format!("{token}AAAA")] {
            assert_eq!(open_session(["secret"], none), None, "{none}");
        }
    }

    #[test]
    fn a_ticket_is_no_session_and_a_session_no_ticket() {
        let (key_hash, until) = (hash_token("wl_test"), 1_900_000_000);
        let session = Session { id: Uuid::now_v7(), key_hash, until: until + 1 };
        let cookie = seal_session("secret", session);
        let holders =
            [TicketHolder::Key(key_hash), TicketHolder::Session(session), TicketHolder::Token("wt_x".to_owned())];
        for holder in holders {
            let ticket = Ticket { holder, until };
            let sealed = seal_ticket("secret", &ticket);
            assert_eq!(open_ticket(["secret"], &sealed), Some(ticket));
            assert_eq!((open_session(["secret"], &sealed), open_token(["secret"], &sealed)), (None, None));
            assert_eq!(open_ticket(["other"], &sealed), None);
        }
        assert_eq!(open_ticket(["secret"], &cookie), None);
    }

    #[test]
    fn an_altered_cursor_does_not_open() {
        let cursor = seal_cursor("secret", "jobs", b"position");
        assert_eq!(open_cursor(["secret"], "jobs", &cursor), Some(b"position".to_vec()));
        assert_eq!(open_cursor(["secret"], "feed", &cursor), None);
        assert_eq!(open_cursor(["other"], "jobs", &cursor), None);
        for index in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(open_cursor(["secret"], "jobs", &altered), None, "{altered}");
        }
        assert_eq!(open_cursor(["secret"], "jobs", ""), None);
    }

    #[test]
    fn the_first_secret_signs_and_every_secret_opens() {
        const NEW_FIRST: [&str; 2] = ["new", "old"];
        let session = Session { id: Uuid::now_v7(), key_hash: hash_token("wl_test"), until: 1_900_000_000 };
        let ticket = Ticket { holder: TicketHolder::Session(session), until: 1_900_000_000 };
        for secret in NEW_FIRST {
            assert_eq!(open_session(NEW_FIRST, &seal_session(secret, session)), Some(session));
            assert_eq!(open_ticket(NEW_FIRST, &seal_ticket(secret, &ticket)), Some(ticket.clone()));
            assert_eq!(open_token(NEW_FIRST, &seal_token(secret, vec![7])), Some(vec![7]));
            assert_eq!(open_cursor(NEW_FIRST, "jobs", &seal_cursor(secret, "jobs", &[7])), Some(vec![7]));
        }
        assert_eq!(open_session(NEW_FIRST, &seal_session("older", session)), None);
        assert_eq!(open_cursor(NEW_FIRST, "jobs", &seal_cursor("older", "jobs", &[7])), None);
    }

    #[test]
    fn a_link_is_shown_under_the_secret_that_it_was_made_with() {
        let id = Uuid::new_v4();
        let [new, old, older] = ["new", "old", "older"].map(|secret| link_token(secret, id));
        let shown =
            |secrets: &[&'static str], kept: &str| kept_link_token(secrets.iter().copied(), id, Some(hash_token(kept)));
        for kept in [&new, &old] {
            assert_eq!(shown(&["new", "old"], kept), *kept);
            assert_eq!(shown(&["old", "new"], kept), *kept);
            assert!(is_link_token(["new", "old"], id, kept));
        }
        assert_eq!(shown(&["new", "old"], &older), new, "of a secret that is gone there is nothing to show");
        assert!(!is_link_token(["new", "old"], id, &older));
        assert_eq!(kept_link_token(["new", "old"], id, None), new);
        assert_eq!(kept_link_token([], id, None), "");
    }
}
