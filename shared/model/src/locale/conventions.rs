//! How each language writes numbers, sizes and times: one file a language.

use serde::Deserialize;

use super::Language;

/// How one language writes numbers, sizes and times. A catalogue that lacks a key, or has one too many, is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conventions {
    pub(super) numbers: Numbers,
    pub(super) units: Units,
    pub(super) dates: Dates,
}

/// How digits are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numbers {
    /// Between whole and part.
    pub(super) decimal: String,
    /// Between thousands.
    pub(super) group: String,
    /// Fewest digits that are grouped.
    pub(super) group_from: usize,
    /// Whether nothing is one thing: `0 ligne`.
    pub(super) zero_is_one: bool,
}

/// What is counted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Units {
    pub(super) row: Counted,
    pub(super) byte: Counted,
    pub(super) scaled: [String; 4],
    pub(super) seconds: String,
    pub(super) minutes: String,
    pub(super) whole_minutes: String,
    pub(super) from_to: String,
    pub(super) hours: String,
}

/// One thing, and several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    pub(super) one: String,
    pub(super) other: String,
}

/// How dates are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dates {
    pub(super) months: [String; 12],
    pub(super) day: String,
    pub(super) moment: String,
    pub(super) span: String,
}

const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../locales/en.toml"),
        Language::De => include_str!("../../locales/de.toml"),
        Language::Fr => include_str!("../../locales/fr.toml"),
        Language::Es => include_str!("../../locales/es.toml"),
        Language::Zh => include_str!("../../locales/zh.toml"),
    }
}

impl Conventions {
    /// Reads the conventions of a language.
    ///
    /// # Errors
    /// When the embedded catalogue is not as it should be; a test reads each.
    pub fn of(language: Language) -> Result<Self, toml::de::Error> {
        toml::from_str(catalogue(language))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_fills_in_the_same() {
        let read = |language| toml::from_str::<toml::Table>(catalogue(language)).unwrap();
        let english = read(Language::En);
        for (language, own) in Language::ALL.map(|language| (language, read(language))) {
            for (section, keys) in &english {
                for (key, text) in keys.as_table().unwrap() {
                    let places = |value: &toml::Value| {
                        let text = value.to_string();
                        let mut names: Vec<String> = text
                            .split("{")
                            .skip(1)
                            .filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
                            .collect();
                        names.sort_unstable();
                        names.dedup();
                        names
                    };
                    let told = &own[section][key];
                    assert!(text.is_table() || places(told) == places(text), "{language}: {section}.{key}");
                }
            }
        }
    }
}
