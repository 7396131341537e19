//! Names of reports by pattern: `sales-*`, `orders`, `*`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest pattern, in characters: as long as a report's name may be.
const MAX_PATTERN: usize = 100;

/// A name of reports in which `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPattern(String);

impl ReportPattern {
    /// Tells whether it is a report's name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // There is always a first part, and where it is the only one there is no star.
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = rest.split_at(at + part.len()).1;
        }
        rest.ends_with(last)
    }

    /// Returns it as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReportPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '*');
        if text.is_empty() || text.len() > MAX_PATTERN || !text.chars().all(good) {
            return Err(format!(
                "`{text}` is no name of reports; write lower-case letters, digits and hyphens, and * for any characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for ReportPattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReportPattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_everything_else_for_itself() {
        let matches = |pattern: &str, name: &str| pattern.parse::<ReportPattern>().unwrap().matches(name);
        for (pattern, name) in [
            ("orders", "orders"),
            ("*", "orders"),
            ("sales-*", "sales-by-day"),
            ("sales-*", "sales-"),
            ("*-day", "sales-by-day"),
            ("s*by*y", "sales-by-day"),
            ("**", "x"),
            ("a*a", "aa"),
            ("*ab*ab", "abab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("orders", "orders-2"),
            ("orders", "my-orders"),
            ("sales-*", "sales"),
            ("a*a", "a"),
            ("ab*bc", "abc"),
            ("s*by*y", "sales-on-day"),
            ("*ab*ab", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        for wrong in ["", "Orders", "a b", "a.b", "ä*", &"x".repeat(101)] {
            assert!(wrong.parse::<ReportPattern>().is_err(), "{wrong}");
        }
    }
}
