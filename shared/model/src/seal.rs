//! Sensitive values at rest. The gateway seals them when a job is submitted and the worker opens them just before they are bound;
//! what lies in between (database, backups, messages) holds nothing that could be read or guessed.
//!
//! A sealed value is `{"$sealed": "1.<key id>.<box>"}`: canonical parameters are never objects, so that nothing else looks like one.
//! The box is AES-256-GCM-SIV under a key derived from one of `service.seal_keys`, bound to the tenant, the job and the parameter's
//! name: moved elsewhere, it does not open.

use std::borrow::Cow;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

use crate::job::{Job, Params};

/// What a sealed value is found by.
const MARK: &str = "$sealed";

/// How values are sealed; another number for another way.
const WAY: &str = "1";

/// Values are filled up to a multiple of so many bytes, so that the length of a box does not tell a PIN from a password.
const BLOCK: usize = 32;

/// The keys that open sealed values, the first of which seals. There is always one.
#[derive(Debug)]
pub struct SealKeys {
    first: SealKey,
    older: Vec<SealKey>,
}

/// The job whose values are sealed.
#[derive(Debug, Clone, Copy)]
pub struct SealedJob<'a> {
    tenant: &'a str,
    id: Uuid,
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with a key that is not there any more, or not here.
    #[error("the value of :{param} is sealed with the key {key}, which is not in service.seal_keys")]
    KeyMissing {
        /// The parameter's name.
        param: String,
        /// The key's id.
        key: String,
    },
    /// It is not what was sealed, or not of this job and parameter.
    #[error("the sealed value of :{param} was altered, or belongs to another job")]
    Altered {
        /// The parameter's name.
        param: String,
    },
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value could not be sealed")]
pub struct SealFailed;

impl<'a> SealedJob<'a> {
    /// Names a job by its tenant and id.
    #[must_use]
    pub const fn new(tenant: &'a str, id: Uuid) -> Self {
        Self { tenant, id }
    }

    /// Names another job of the same tenant.
    #[must_use]
    pub const fn of_same_tenant(self, id: Uuid) -> Self {
        Self { id, ..self }
    }

    fn associated_data(self, param: &str) -> Vec<u8> {
        let mut data = b"waitless sealed value v1".to_vec();
        data.extend_from_slice(self.id.as_bytes());
        // The length in front, so that no two pairs of names make the same bytes.
        data.extend_from_slice(&(self.tenant.len() as u64).to_be_bytes());
        data.extend_from_slice(self.tenant.as_bytes());
        data.extend_from_slice(param.as_bytes());
        data
    }
}

impl<'a> From<&'a Job> for SealedJob<'a> {
    fn from(job: &'a Job) -> Self {
        Self::new(&job.caller.tenant, job.id)
    }
}

impl SealKeys {
    /// Derives the keys from secrets of the configuration, in their order. `None`: there is no secret.
    #[must_use]
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Option<Self> {
        let mut keys = secrets.into_iter().filter(|secret| !secret.is_empty()).map(SealKey::derive);
        Some(Self { first: keys.next()??, older: keys.collect::<Option<_>>()? })
    }

    /// Names the keys, the one that seals first. The names tell nothing of the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.all().map(|key| key.id.as_str()).collect()
    }

    /// Seals the values of sensitive parameters. What was not given is left as it is.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(
        &self,
        job: SealedJob<'_>,
        params: Params,
        is_sensitive: impl Fn(&str) -> bool,
    ) -> Result<Params, SealFailed> {
        let seal = |(name, value): (String, Value)| {
            let stays = value.is_null() || !is_sensitive(&name) || sealed_text(&value).is_some();
            let value = if stays { value } else { self.first.seal(&job.associated_data(&name), &value)? };
            Ok((name, value))
        };
        params.into_iter().map(seal).collect()
    }

    /// Opens what is sealed. Other values, and those of jobs from before there were seals, are as they are.
    ///
    /// # Errors
    /// Names the first parameter whose value does not open, and the key that is missing.
    pub fn open(&self, job: SealedJob<'_>, params: &Params) -> Result<Params, SealError> {
        let open = |(name, value): (&String, &Value)| {
            let opened = match sealed_text(value) {
                Some(text) => self.open_text(&job.associated_data(name), name, text)?,
                None => value.clone(),
            };
            Ok((name.clone(), opened))
        };
        params.iter().map(open).collect()
    }

    /// Gives `to` the values of another job, whose rows it shares and which it may be asked for again. A value that does not open is
    /// carried along as it is: `to` does not bind it.
    ///
    /// # Errors
    /// As [`SealKeys::seal`].
    pub fn pass_on(
        &self,
        from: SealedJob<'_>,
        to: SealedJob<'_>,
        params: Params,
        is_sensitive: impl Fn(&str) -> bool,
    ) -> Result<Params, SealFailed> {
        let opened = self.open(from, &params).unwrap_or(params);
        self.seal(to, opened, is_sensitive)
    }

    /// Returns what stands at rest for a hash over sensitive values, which could be found again by trying them all: the hash under
    /// each key, the one that seals first.
    #[must_use]
    pub fn hashes(&self, hash: [u8; 32]) -> Vec<[u8; 32]> {
        self.all().map(|key| derive(&key.hashing, "waitless sealed hash v1", &hash)).collect()
    }

    /// Returns the first of [`SealKeys::hashes`].
    #[must_use]
    pub fn hash(&self, hash: [u8; 32]) -> [u8; 32] {
        derive(&self.first.hashing, "waitless sealed hash v1", &hash)
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.first).chain(&self.older)
    }

    fn open_text(&self, data: &[u8], param: &str, text: &str) -> Result<Value, SealError> {
        let altered = || SealError::Altered { param: param.to_owned() };
        let rest = text.strip_prefix(WAY).and_then(|rest| rest.strip_prefix('.')).ok_or_else(altered)?;
        let (id, sealed) = rest.split_once('.').ok_or_else(altered)?;
        let missing = || SealError::KeyMissing { param: param.to_owned(), key: shown(id) };
        let mut known = self.all().filter(|key| key.id == id).peekable();
        known.peek().ok_or_else(missing)?;
        known.find_map(|key| key.open(data, sealed)).ok_or_else(altered)
    }
}

/// A row may say anything; what is told of it is short and has no control characters.
fn shown(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}

/// One of the secrets of `service.seal_keys`.
struct SealKey {
    /// Eight characters that stand with every value it sealed.
    id: String,
    sealing: RandomizedNonceKey,
    hashing: [u8; 32],
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKey").field(&self.id).finish()
    }
}

impl SealKey {
    /// Keys have 32 bytes, which is what is asked for: never `None`.
    fn derive(secret: &str) -> Option<Self> {
        let secret = secret.as_bytes();
        let id = hex::encode(derive(secret, "waitless seal key id v1", b"").first_chunk::<4>()?);
        let sealing = derive(secret, "waitless seal key v1", b"");
        let sealing = RandomizedNonceKey::new(&AES_256_GCM_SIV, &sealing).ok()?;
        Some(Self { id, sealing, hashing: derive(secret, "waitless seal hashing v1", b"") })
    }

    fn seal(&self, data: &[u8], value: &Value) -> Result<Value, SealFailed> {
        let mut text = value.to_string().into_bytes();
        // JSON may be followed by spaces.
        text.resize(text.len().next_multiple_of(BLOCK), b' ');
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(data), &mut text).map_err(|_| SealFailed)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend_from_slice(&text);
        let text = format!("{WAY}.{}.{}", self.id, URL_SAFE_NO_PAD.encode(sealed));
        Ok(Value::Object([(MARK.to_owned(), Value::String(text))].into_iter().collect()))
    }

    fn open(&self, data: &[u8], sealed: &str) -> Option<Value> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.sealing.open_in_place(nonce, Aad::from(data), rest).ok()?;
        serde_json::from_slice(text).ok()
    }
}

/// HMAC takes keys of any length, so that this cannot fail; a key of zeros would open nothing that another one sealed.
fn derive(secret: &[u8], purpose: &str, about: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; 32] };
    mac.update(purpose.as_bytes());
    mac.update(about);
    mac.finalize().into_bytes().into()
}

fn sealed_text(value: &Value) -> Option<&str> {
    let Value::Object(fields) = value else { return None };
    fields.get(MARK)?.as_str()
}

/// Returns the JSON of parameters without those that are sealed: a box is another one each time, whatever is in it.
#[must_use]
pub fn without_sealed(params: &str) -> Cow<'_, str> {
    if !params.contains(MARK) {
        return Cow::Borrowed(params);
    }
    let Ok(mut read) = serde_json::from_str::<Params>(params) else { return Cow::Borrowed(params) };
    read.retain(|_, value| sealed_text(value).is_none());
    Cow::Owned(Value::Object(read).to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NEW: &str = "a new secret of 32 bytes or more";
    const OLD: &str = "an old secret of 32 bytes or more";

    fn keys(secrets: &[&str]) -> SealKeys {
        SealKeys::new(secrets.iter().copied()).unwrap()
    }

    fn params(value: Value) -> Params {
        Params::from_iter([("pin".to_owned(), value), ("day".to_owned(), json!("2026-01-31"))])
    }

    fn seal(keys: &SealKeys, job: SealedJob<'_>, value: Value) -> Params {
        keys.seal(job, params(value), |name| name == "pin").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_job_and_parameter_alone() {
        let (keys, id) = (keys(&[NEW]), Uuid::now_v7());
        let job = SealedJob::new("acme", id);
        let sealed = seal(&keys, job, json!("4711"));
        assert_eq!(sealed["day"], "2026-01-31");
        assert!(!Value::Object(sealed.clone()).to_string().contains("4711"));
        assert_eq!(keys.open(job, &sealed), Ok(params(json!("4711"))));
        let altered = Err(SealError::Altered { param: "pin".into() });
        for other in [SealedJob::new("acme", Uuid::now_v7()), SealedJob::new("acm", id)] {
            assert_eq!(keys.open(other, &sealed), altered);
        }
        let moved = Params::from_iter([("code".to_owned(), sealed["pin"].clone())]);
        assert_eq!(keys.open(job, &moved), Err(SealError::Altered { param: "code".into() }));
    }

    #[test]
    fn an_altered_box_does_not_open() {
        let (keys, job) = (keys(&[NEW]), SealedJob::new("acme", Uuid::now_v7()));
        let sealed = seal(&keys, job, json!("4711"));
        let text = sealed["pin"][MARK].as_str().unwrap();
        for (at, was) in text.char_indices() {
            let mut other = text.to_owned();
            other.replace_range(at..=at, if was == 'A' { "B" } else { "A" });
            assert!(keys.open(job, &params(json!({ MARK: other }))).is_err(), "{at}");
        }
        for none in ["", "1", "1.", "1..", &text[..20]] {
            assert!(keys.open(job, &params(json!({ MARK: none }))).is_err(), "{none}");
        }
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let job = SealedJob::new("acme", Uuid::now_v7());
        let (before, after) = (keys(&[OLD]), keys(&[NEW, OLD]));
        let sealed = seal(&before, job, json!("4711"));
        assert_eq!(after.open(job, &sealed), Ok(params(json!("4711"))));
        let (old, new) = (before.ids()[0], after.ids()[0]);
        assert_ne!(old, new);
        let missing = |key: &str| Err(SealError::KeyMissing { param: "pin".into(), key: key.into() });
        assert_eq!(before.open(job, &seal(&after, job, json!("4711"))), missing(new));
        assert_eq!(keys(&[NEW]).open(job, &sealed), missing(old));
    }

    #[test]
    fn a_job_made_from_another_gets_its_values_and_what_does_not_open_as_it_is() {
        let (from, to) = (SealedJob::new("acme", Uuid::now_v7()), SealedJob::new("acme", Uuid::now_v7()));
        let keys_now = keys(&[NEW]);
        let sealed = seal(&keys(&[OLD]), from, json!("4711"));
        assert_eq!(keys_now.pass_on(from, to, sealed.clone(), |name| name == "pin"), Ok(sealed.clone()));
        let passed_on = keys(&[NEW, OLD]).pass_on(from, to, sealed, |name| name == "pin").unwrap();
        assert_eq!(keys_now.open(to, &passed_on), Ok(params(json!("4711"))));
    }

    #[test]
    fn a_box_tells_neither_equal_values_nor_their_length() {
        let (keys, job) = (keys(&[NEW]), SealedJob::new("acme", Uuid::now_v7()));
        let sealed = |value: &str| Value::Object(seal(&keys, job, json!(value))).to_string();
        assert_ne!(sealed("4711"), sealed("4711"));
        assert_eq!(sealed("1").len(), sealed("a value of twenty-nine bytes.").len());
    }

    #[test]
    fn a_hash_is_another_one_under_each_key() {
        let (both, old) = (keys(&[NEW, OLD]), keys(&[OLD]));
        let hashes = both.hashes([7; 32]);
        assert_eq!((hashes[0], &hashes[1..]), (both.hash([7; 32]), &old.hashes([7; 32])[..]));
        assert_ne!(hashes[0], hashes[1]);
        assert!(!hashes.contains(&[7; 32]) && both.hash([8; 32]) != hashes[0]);
    }

    #[test]
    fn sealed_values_do_not_tell_parameters_apart() {
        let (keys, job) = (keys(&[NEW]), SealedJob::new("acme", Uuid::now_v7()));
        let text = |value: &str| Value::Object(seal(&keys, job, json!(value))).to_string();
        assert_eq!(without_sealed(&text("1")), without_sealed(&text("2")));
        assert_eq!(without_sealed(&text("1")), r#"{"day":"2026-01-31"}"#);
        assert_eq!(without_sealed(r#"{"a": "$sealed"}"#), r#"{"a":"$sealed"}"#);
        assert_eq!(without_sealed("{}"), "{}");
    }

    #[test]
    fn keys_are_not_printed() {
        let shown = format!("{:?}", keys(&[NEW, OLD]));
        assert!(shown.contains(keys(&[NEW]).ids()[0]) && !shown.contains("secret") && shown.len() < 100, "{shown}");
        assert!(SealKeys::new([""]).is_none());
    }

    proptest! {
        #[test]
        fn every_value_is_the_same_after_its_seal(text: String, number: i64, list: Vec<String>, tenant: String) {
            let keys = keys(&[NEW]);
            let job = SealedJob::new(&tenant, Uuid::now_v7());
            for value in [json!(text), json!(number), json!(list), json!(true), Value::Null] {
                let sealed = seal(&keys, job, value.clone());
                prop_assert_eq!(sealed["pin"].is_null(), value.is_null());
                prop_assert_eq!(keys.open(job, &sealed), Ok(params(value)));
            }
        }
    }
}
