//! Attributes: what credentials say of whoever asks (a region, a list of customers), so that queries can be limited by it.
//! They come from credentials only, never from a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most attributes of one identity.
pub const MAX_ATTRIBUTES: usize = 32;
/// Longest text of a value, in characters.
const MAX_TEXT: usize = 500;
/// Longest list.
const MAX_LIST: usize = 200;

/// Attributes by name. Values are texts, integers, booleans, and lists of texts or of integers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, Value>);

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
}

/// Checks a name: what stands after `:attribute.` in a query.
fn check_name(name: &str) -> Result<(), &'static str> {
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
