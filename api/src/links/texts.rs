//! What the pages of links, and the page of the status, say: one file a language.

use anyhow::Context as _;
use model::locale::Language;
use serde::{Deserialize, Serialize};

/// Everything the pages say in one language. The shape is the list of keys: a catalogue that lacks one, or has one too many, is
/// refused when the gateway starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTexts {
    /// For `<html lang>`.
    pub(super) lang: String,
    pub(super) show: Show,
    pub(super) expired: Expired,
    pub(super) sign_in: SignIn,
    pub(super) making: Making,
    pub(super) failed: Failed,
    pub(super) why: Why,
    pub(super) refused: Refused,
    pub(super) status: StatusTexts,
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
    /// `[show]`: a file.
    Show { missing, download, until, receipt, rows, every, not_every, size, data_as_of, finished }
    /// `[expired]`
    Expired { title, text, button, note }
    /// `[sign_in]`
    SignIn { title, text, button }
    /// `[making]`: the last two are said by the script.
    Making { title, text, progress, row_so_far, rows_so_far, again, waiting, unreachable }
    /// `[failed]`
    Failed { title, cancelled, button, note }
    /// `[why]`: what happened to a report.
    Why { source, storage, slow, large, query, other }
    /// `[refused]`: why there is no page.
    Refused {
        unknown, unknown_text, revoked, revoked_text, forbidden, forbidden_text, not_offered, not_offered_text, changed,
        changed_text, often, often_text, later, later_text, other,
    }
    /// `[status]`: how the service is.
    StatusTexts {
        title, all_well, some_not, submitting, running, mailing, up, slow, down, submitting_up, submitting_slow, submitting_down,
        running_up, running_slow, running_down, mailing_up, mailing_slow, mailing_down, since, seen,
    }
}

/// The text of a catalogue.
const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../../web/links/en.toml"),
        Language::De => include_str!("../../web/links/de.toml"),
        Language::Fr => include_str!("../../web/links/fr.toml"),
        Language::Es => include_str!("../../web/links/es.toml"),
        Language::Zh => include_str!("../../web/links/zh.toml"),
    }
}

/// Reads the catalogue of a language.
///
/// # Errors
/// When it is not as it should be; a test reads each.
pub(super) fn read(language: Language) -> anyhow::Result<LinkTexts> {
    toml::from_str(catalogue(language)).with_context(|| format!("links/{language}.toml"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn texts(language: Language) -> BTreeMap<String, String> {
        let tables: toml::Table = toml::from_str(catalogue(language)).unwrap();
        let tables = tables.into_iter().filter_map(|(name, value)| Some((name, value.as_table()?.clone())));
        tables
            .flat_map(|(name, table)| {
                table.into_iter().map(move |(key, text)| (format!("{name}.{key}"), text.as_str().unwrap().to_owned()))
            })
            .collect()
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
    }

    #[test]
    fn every_language_has_the_same_keys_and_placeholders_and_none_was_left_in_english() {
        let english = texts(Language::En);
        for language in Language::ALL {
            let own = texts(language);
            assert_eq!(own.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language}");
            for (key, text) in &own {
                assert_eq!(placeholders(text), placeholders(&english[key]), "{language}: {key}");
                let prose = english[key].split(' ').count() > 3;
                assert!(language == Language::En || !prose || *text != english[key], "{language}: {key}");
            }
            read(language).unwrap();
        }
    }
}
