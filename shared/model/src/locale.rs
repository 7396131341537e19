//! The languages people are written to in, their time zones, and how each writes numbers, sizes and times.

mod conventions;
mod fill;
mod localizer;
mod times;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use chrono_tz::Tz;
pub use conventions::Conventions;
pub use fill::fill;
pub use localizer::Localizer;

use crate::job::UnknownName;

/// A language that notifications and pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
    /// Chinese, simplified.
    Zh,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::En, Self::De, Self::Fr, Self::Es, Self::Zh];

    /// Returns the name used in requests and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
            Self::Zh => "zh",
        }
    }

    /// Returns the language of a tag such as `de` or `de-AT` (BCP 47).
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }

    /// Returns the language that an `Accept-Language` likes best among ours. `None`: none of them, or any.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for entry in header.split(',').take(MAX_ENTRIES) {
            let mut parts = entry.split(';');
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            let weight = weight.filter(|weight| (0.0..=1.0).contains(weight) && *weight > 0.0);
            // The first of equals is the one that was named first.
            if let Some(weight) = weight.filter(|weight| best.is_none_or(|(held, _)| *weight > held)) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// Nobody likes more languages than this, and whoever sends more wants to keep us busy.
const MAX_ENTRIES: usize = 20;

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == name)
            .ok_or_else(|| UnknownName::new("language", name))
    }
}

/// Returns the time zone of an IANA name such as `Europe/Berlin`.
#[must_use]
pub fn time_zone(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// Writes a number with `separator` between its thousands.
#[must_use]
pub fn grouped(number: u64, separator: &str) -> String {
    let mut text = Vec::new();
    group_digits(number.to_string().as_bytes(), separator, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends digits, of a number of any length, with `separator` between the thousands.
pub fn group_digits(digits: &[u8], separator: &str, out: &mut Vec<u8>) {
    for (index, digit) in digits.iter().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.extend_from_slice(separator.as_bytes());
        }
        out.push(*digit);
    }
}

/// Says something in a language, by the clock of Berlin.
#[cfg(test)]
fn in_language<T>(language: Language, say: impl Fn(Localizer<'_>) -> T) -> T {
    let zone = Tz::Europe__Berlin;
    say(Localizer { conventions: &Conventions::of(language).unwrap(), zone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_of_our_languages_is_taken() {
        for (header, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::De)),
            ("it, fr;q=0.4, es;q=0.6", Some(Language::Es)),
            ("zh-Hans-CN", Some(Language::Zh)),
            ("en;q=0.5,fr;q=0.5", Some(Language::En)),
            ("fr;q=0, de;q=0.1", Some(Language::De)),
            ("fr;q=2, es;q=x", None),
            ("*", None),
            ("it", None),
            ("", None),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header}");
        }
    }

    #[test]
    fn languages_and_zones_have_names() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
        }
        assert_eq!(time_zone("Europe/Berlin"), Some(Tz::Europe__Berlin));
        assert_eq!((time_zone("Berlin"), time_zone("")), (None, None));
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(|number| grouped(number, ",")), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(grouped(u64::MAX, "\u{202f}").chars().filter(|c| *c == '\u{202f}').count(), 6);
    }
}
