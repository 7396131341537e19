//! URLs are judged by the backends that open them; here is only how.

use super::{Config, ConfigError, SettingError};

/// How the URLs of one setting may begin, and what each leads to. The backend that opens them has the one table.
#[derive(Debug)]
pub struct UrlSchemes<K: 'static>(pub &'static [(&'static str, K)]);

impl<K: Copy> UrlSchemes<K> {
    /// Returns what a URL leads to.
    ///
    /// # Errors
    /// Names the scheme and what would be right, and nothing more of the URL: it may hold a password.
    pub fn find(&self, url: &str) -> Result<K, String> {
        let found = self.0.iter().find(|(prefix, _)| url.starts_with(prefix));
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let given = url.split_once(':').map_or("nothing", |(scheme, _)| scheme);
            format!("starts with `{given}`; accepted are {}", self.prefixes().collect::<Vec<_>>().join(", "))
        })
    }

    /// Lists how URLs may begin.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(prefix, _)| *prefix)
    }
}

/// A URL of the configuration, and who judges it.
#[derive(Debug, Clone)]
pub struct UrlCheck<'a> {
    /// `section.key`
    pub key: String,
    /// As it was written; may hold a password.
    pub url: &'a str,
    /// Says what is wrong with it, without its password. Connects to nothing.
    pub check: fn(&str) -> Result<(), String>,
}

/// Has every URL judged.
///
/// # Errors
/// Lists every URL that its backend would not open.
pub fn check_urls<'a>(urls: impl IntoIterator<Item = UrlCheck<'a>>) -> Result<(), ConfigError> {
    let judge = |url: UrlCheck<'_>| Some(SettingError::new(url.key, (url.check)(url.url).err()?));
    let errors: Vec<_> = urls.into_iter().filter_map(judge).collect();
    if errors.is_empty() { Ok(()) } else { Err(ConfigError(errors)) }
}

impl Config {
    /// Pairs the URL of every source with who judges it.
    pub fn source_urls(&self, check: fn(&str) -> Result<(), String>) -> impl Iterator<Item = UrlCheck<'_>> {
        self.sources.iter().map(move |(name, source)| UrlCheck {
            key: format!("sources.{name}.url"),
            url: source.url.expose(),
            check,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: UrlSchemes<u8> = UrlSchemes(&[("one:", 1), ("two://", 2)]);

    fn check(url: &str) -> Result<(), String> {
        SCHEMES.find(url).map(drop)
    }

    #[test]
    fn every_url_that_is_not_known_is_told_without_what_follows_its_scheme() {
        assert_eq!((SCHEMES.find("one:x"), SCHEMES.find("two://x")), (Ok(1), Ok(2)));
        let urls = ["one:x", "two:x", "three://user:hunter2@host", "hunter2"];
        let checks = urls.iter().enumerate().map(|(at, url)| UrlCheck { key: at.to_string(), url, check });
        let said = check_urls(checks).unwrap_err().to_string();
        insta::assert_snapshot!(said, @r"
        the configuration is not valid:
          1: starts with `two`; accepted are one:, two://
          2: starts with `three`; accepted are one:, two://
          3: starts with `nothing`; accepted are one:, two://
        ");
    }
}
