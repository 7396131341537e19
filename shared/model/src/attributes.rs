//! Attributes: what credentials say of whoever asks (a region, a list of customers), so that queries can be limited by it.
//! They come from credentials only, never from a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::Params;
use crate::seal::{SealError, SealFailed, SealKeys, SealedJob};

/// What an attribute's name stands behind: in queries, and wherever attributes stand among parameters, whose names have no dots.
pub const ATTRIBUTE_PREFIX: &str = "attribute.";

/// Most attributes of one identity.
pub const MAX_ATTRIBUTES: usize = 32;
/// Longest text of a value, in characters.
const MAX_TEXT: usize = 500;
/// Longest list.
const MAX_LIST: usize = 200;

/// Attributes by name. Values are texts, integers, booleans, and lists of texts or of integers.
///
/// `Debug` names them and tells no value.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, Value>);

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Nobody's: what an identity has whose credential says nothing of it.
pub static NO_ATTRIBUTES: Attributes = Attributes(BTreeMap::new());

/// An attribute that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFault {
    /// Which one; the whole set when absent.
    pub name: Option<String>,
    /// What is wrong with it, for people.
    pub detail: String,
}

impl Attributes {
    /// Takes what a credential says, checked.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn new(said: impl IntoIterator<Item = (String, Value)>) -> Result<Self, Vec<AttributeFault>> {
        let said: BTreeMap<_, _> = said.into_iter().collect();
        let mut faults = Vec::new();
        if said.len() > MAX_ATTRIBUTES {
            let detail = format!("there are {} attributes; at most {MAX_ATTRIBUTES} fit", said.len());
            faults.push(AttributeFault { name: None, detail });
        }
        for (name, value) in &said {
            let wrong = check_name(name).and_then(|()| check_value(value));
            faults.extend(wrong.err().map(|detail| AttributeFault { name: Some(name.clone()), detail: detail.into() }));
        }
        if faults.is_empty() { Ok(Self(said)) } else { Err(faults) }
    }

    /// Returns the value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns all, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether each of the others is among these, with the same value.
    #[must_use]
    pub fn hold(&self, others: &Self) -> bool {
        others.0.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }

    /// Returns them under their names, to put others beside them.
    pub fn among_names(&self) -> impl Iterator<Item = (String, Value)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone()))
    }

    /// Returns them as they stand among parameters: under [`ATTRIBUTE_PREFIX`].
    #[must_use]
    pub fn among_params(&self) -> Params {
        self.0.iter().map(|(name, value)| (format!("{ATTRIBUTE_PREFIX}{name}"), value.clone())).collect()
    }

    /// Freezes them into a job: sealed, as sensitive parameters are.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, keys: &SealKeys, job: SealedJob<'_>) -> Result<SealedAttributes, SealFailed> {
        keys.seal(job, self.among_params(), |_| true).map(SealedAttributes)
    }
}

/// The attributes of whoever submitted a job, as they were then. Nobody reads them without the keys, and nothing changes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedAttributes(Params);

impl SealedAttributes {
    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Opens those of a job.
    ///
    /// # Errors
    /// Names the first one that does not open, and the key that is missing.
    pub fn open(&self, keys: &SealKeys, job: SealedJob<'_>) -> Result<Attributes, SealError> {
        let opened = keys.open(job, &self.0)?;
        let plain =
            |(name, value): (String, Value)| (name.strip_prefix(ATTRIBUTE_PREFIX).unwrap_or(&name).to_owned(), value);
        Ok(Attributes(opened.into_iter().map(plain).collect()))
    }

    /// Gives them to another job, which is made from the file of this one. What does not open is carried along as it is.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn pass_on(self, keys: &SealKeys, from: SealedJob<'_>, to: SealedJob<'_>) -> Result<Self, SealFailed> {
        keys.pass_on(from, to, self.0, |_| true).map(Self)
    }
}

/// Checks a name: what stands after `:attribute.` in a query.
///
/// # Errors
/// What a name may have, for people.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 40 || !name.chars().all(good) {
        return Err("use lower-case letters, digits and _ in its name, beginning with a letter, at most 40");
    }
    Ok(())
}

fn check_value(value: &Value) -> Result<(), &'static str> {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= MAX_TEXT);
    let good = match value {
        Value::String(_) => is_text(value),
        Value::Bool(_) => true,
        Value::Number(_) => value.is_i64(),
        Value::Array(list) => list.len() <= MAX_LIST && (list.iter().all(is_text) || list.iter().all(Value::is_i64)),
        Value::Null | Value::Object(_) => false,
    };
    if good {
        Ok(())
    } else {
        Err(
            "give a text of at most 500 characters, a whole number, true or false, or a list of at most 200 texts or whole numbers",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(said: &Value) -> Result<Attributes, Vec<AttributeFault>> {
        Attributes::new(said.as_object().unwrap().clone())
    }

    #[test]
    fn texts_numbers_booleans_and_lists_of_one_kind_are_attributes() {
        let all =
            json!({"region": "EU", "level": -3, "internal": true, "customers": [1, 2], "teams": ["a"], "none": []});
        let attributes = read(&all).unwrap();
        assert_eq!(serde_json::to_value(&attributes).unwrap(), all);
        assert_eq!(attributes.get("region"), Some(&json!("EU")));
    }

    #[test]
    fn attributes_are_frozen_into_their_job_and_printed_nowhere() {
        let keys = SealKeys::new(["a secret of 32 bytes or more, really"]).unwrap();
        let (job, id) = (SealedJob::new("acme", uuid::Uuid::nil()), uuid::Uuid::now_v7());
        let attributes = read(&json!({"region": "EU-hidden", "customers": [471_147]})).unwrap();
        let sealed = attributes.seal(&keys, job).unwrap();
        assert_eq!(sealed.open(&keys, job), Ok(attributes.clone()));
        let at_rest = serde_json::to_string(&sealed).unwrap();
        assert!(at_rest.contains("attribute.region") && !at_rest.contains("hidden") && !at_rest.contains("471147"));
        assert_eq!(serde_json::from_str::<SealedAttributes>(&at_rest).unwrap(), sealed);
        assert_eq!(format!("{attributes:?}"), r#"{"customers", "region"}"#);
        let other = job.of_same_tenant(id);
        assert!(sealed.open(&keys, other).is_err(), "they are of their job alone");
        let passed_on = sealed.pass_on(&keys, job, other).unwrap();
        assert_eq!(passed_on.open(&keys, other), Ok(attributes));
        // A parameter's value is not an attribute's, though they be named alike.
        let param = keys.seal(job, Params::from_iter([("region".to_owned(), json!("EU"))]), |_| true).unwrap();
        let moved = SealedAttributes(Params::from_iter([("attribute.region".to_owned(), param["region"].clone())]));
        assert!(moved.open(&keys, job).is_err());
        assert_eq!(SealedAttributes::default().open(&keys, job), Ok(Attributes::default()));
    }

    #[test]
    fn what_is_held_is_held_with_its_value() {
        let (all, region) =
            (read(&json!({"region": "EU", "level": 3})).unwrap(), read(&json!({"region": "EU"})).unwrap());
        assert!(all.hold(&region) && all.hold(&NO_ATTRIBUTES) && !region.hold(&all));
        assert!(!all.hold(&read(&json!({"region": "US"})).unwrap()));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let wrong = [
            json!(null),
            json!({}),
            json!(1.5),
            json!(u64::MAX),
            json!(["a", 1]),
            json!([[1]]),
            json!("x".repeat(501)),
        ];
        for value in wrong {
            let faults = read(&json!({"good": "EU", "bad": value})).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.name.as_deref()).collect::<Vec<_>>(), [Some("bad")]);
        }
        for name in ["", "Region", "1st", "a-b", "a.b", &"x".repeat(41)] {
            assert_eq!(Attributes::new([(name.to_owned(), json!("EU"))]).unwrap_err().len(), 1, "{name}");
        }
        let many = (0..=MAX_ATTRIBUTES).map(|index| (format!("a{index}"), json!(1)));
        assert_eq!(Attributes::new(many).unwrap_err().len(), 1);
    }
}
