//! Kinds of values that only configuration has.

use serde::{Deserialize, Serialize, Serializer};

/// A value that must not be seen: `Debug` and `Serialize` hide it.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value. The one word to search for when auditing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(if self.0.is_empty() { "" } else { "(hidden)" })
    }
}

/// Secrets of one purpose, while one takes the place of another: the first signs, all open what was signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Takes them, the one that signs first.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.expose().is_empty()).collect())
    }

    /// Returns the one that signs; empty where there is none.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.first().map_or("", Secret::expose)
    }

    /// Returns all of them, the one that signs first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Secret::expose)
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        Self::new([Secret::new(secret)])
    }
}

/// One is written as a text, several as a list.
impl Serialize for Secrets {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => to.serialize_str(""),
            [secret] => secret.serialize(to),
            secrets => to.collect_seq(secrets),
        }
    }
}
