//! The catalogues of messages: what notifications say, one file a language.

use model::locale::Language;
pub(super) use model::locale::fill;
use serde::{Deserialize, Serialize};

/// Everything a notification says in one language. The shape is the list of keys: a catalogue that lacks one, or has one too many, is
/// refused when the notifier starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Messages {
    /// For `<html lang>`.
    pub(super) lang: String,
    pub(super) values: ValueTexts,
    pub(super) details: DetailLabels,
    pub(super) ready: ReadyTexts,
    pub(super) cut: CutTexts,
    pub(super) part: PartTexts,
    pub(super) failed: FailedTexts,
    pub(super) late: LateTexts,
    pub(super) failure: FailureTexts,
    pub(super) advice: AdviceTexts,
    pub(super) notice: NoticeTexts,
    pub(super) empty: EmptyTexts,
    pub(super) foot: FootTexts,
}

/// Declares tables of texts.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($key:ident),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name {
                $(pub(super) $key: String,)+
            }
        )+
    };
}

tables! {
    /// `[values]`
    ValueTexts { yes, no, more, hidden }
    /// `[details]`
    DetailLabels { data_as_of, took, kept_until, asked_at, tries, job }
    /// `[ready]`
    ReadyTexts { subject, status, preview_one, preview_many, download, forward_one, forward_many, sign_in, expiry }
    /// `[cut]`
    CutTexts { subject, status, file, heading, text }
    /// `[part]`
    PartTexts { subject, status, missing, large, unfit, todo }
    /// `[failed]`
    FailedTexts { subject, status, what, todo, details, open }
    /// `[late]`
    LateTexts {
        subject, status, text, preview, open, expected, so_far, now_expected, unknown, took, waiting, retrying, starting, reading,
        reading_of, reading_about, storing,
    }
    /// `[failure]`: what happened.
    FailureTexts { source, storage, slow, large, query, setup, crash }
    /// `[advice]`: what to do.
    AdviceTexts { later, less, maintainer, operator }
    /// `[notice]`: of schedules.
    NoticeTexts {
        foot, number, why, failed_subject, failed_text, missed_subject, missed_text, awaited_subject,
        awaited_text, refused_subject, refused_text, silent_subject, silent_text, paused_subject, paused_text, status, why_failures, why_owner_gone, why_asked, by_request,
    }
    /// `[empty]`: a report of a schedule that has no rows.
    EmptyTexts { subject, status, text }
    /// `[foot]`
    FootTexts { why }
}

/// The text of a catalogue.
pub(super) const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../messages/en.toml"),
        Language::De => include_str!("../../messages/de.toml"),
        Language::Fr => include_str!("../../messages/fr.toml"),
        Language::Es => include_str!("../../messages/es.toml"),
        Language::Zh => include_str!("../../messages/zh.toml"),
    }
}

/// Reads the catalogue of a language.
pub(super) fn read(language: Language) -> anyhow::Result<Messages> {
    toml::from_str(catalogue(language)).map_err(|error| anyhow::anyhow!("messages/{language}.toml: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Every text of a catalogue by its key.
    fn texts(language: Language) -> BTreeMap<String, String> {
        fn collect(key: &str, value: &toml::Value, texts: &mut BTreeMap<String, String>) {
            match value {
                toml::Value::Table(table) => {
                    for (name, value) in table {
                        collect(&format!("{key}.{name}"), value, texts);
                    }
                }
                toml::Value::Array(values) => {
                    for (at, value) in values.iter().enumerate() {
                        collect(&format!("{key}.{at}"), value, texts);
                    }
                }
                other => drop(texts.insert(key.to_owned(), other.as_str().unwrap_or("(a value)").to_owned())),
            }
        }
        let mut all = BTreeMap::new();
        collect("", &toml::from_str(catalogue(language)).unwrap(), &mut all);
        all
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
    }

    #[test]
    fn every_language_has_the_same_keys_and_placeholders() {
        let english = texts(Language::En);
        for language in Language::ALL {
            let own = texts(language);
            let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(&own), keys(&english), "{language}");
            for (key, text) in &own {
                assert_eq!(placeholders(text), placeholders(&english[key]), "{language}: {key}");
                assert!(!text.trim().is_empty(), "{language}: {key}");
            }
            read(language).unwrap();
        }
    }

    #[test]
    fn no_language_was_left_in_english() {
        let english = texts(Language::En);
        for language in [Language::De, Language::Fr, Language::Es, Language::Zh] {
            let own = texts(language);
            for (key, text) in &english {
                let prose = text.split(' ').filter(|word| word.chars().all(char::is_alphabetic)).count() > 3;
                assert!(!prose || own[key] != *text, "{language}: {key}");
            }
        }
    }
}
