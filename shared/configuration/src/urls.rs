//! URLs are judged by the backends that open them; here is only how.

use url::{Host, Url};

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
        let (prefix, kind) = found.ok_or_else(|| {
            let given = url.split_once(':').map_or("nothing", |(scheme, _)| scheme);
            format!("starts with `{given}`; accepted are {}", self.prefixes().collect::<Vec<_>>().join(", "))
        })?;
        check_rest(prefix, url).map(|()| *kind)
    }

    /// Lists how URLs may begin.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(prefix, _)| *prefix)
    }
}

/// Says what is wrong with where a URL leads, for who has a table of beginnings of another kind: the server or file must be named.
///
/// # Errors
/// Says so without what may be a password.
pub fn check_place(url: &str) -> Result<(), String> {
    let scheme = url.split(':').next().unwrap_or_default();
    let end = if matches!(scheme, "sqlite" | "file") { ":" } else { "://" };
    check_rest(&format!("{scheme}{end}"), url)
}

/// Says what is wrong with what follows `prefix`, as far as that is the same for all: where it leads must be there, and be a place.
fn check_rest(prefix: &str, url: &str) -> Result<(), String> {
    let rest = url.strip_prefix(prefix).unwrap_or_default();
    if !prefix.ends_with("://") {
        let nowhere = matches!(prefix, "file:" | "sqlite:") && rest.trim_start_matches('/').is_empty();
        return if nowhere { Err(format!("names nothing behind `{prefix}`")) } else { Ok(()) };
    }
    let (server, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    // PostgreSQL knows several servers in one URL, and sockets, which are no hosts.
    if prefix.starts_with("postgres") && (server.contains(',') || server.is_empty() || server.contains("%2F")) {
        return Ok(());
    }
    match Url::parse(url) {
        Ok(url) if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        Ok(_) => Err(format!("names no server or bucket behind `{prefix}`")),
        Err(error) => Err(format!("is not a URL: {error}")),
    }
}

/// Tells whether a URL leads to this machine and nowhere else. What goes there is never handed to a proxy, whatever the environment
/// says of proxies: it is not for others, and a proxy would look for it on a machine of its own.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let url = url.parse::<Url>().ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
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
    let errors = wrong_urls(urls);
    if errors.is_empty() { Ok(()) } else { Err(ConfigError(errors)) }
}

/// Has every URL judged, and says which ones their backends would not open.
pub fn wrong_urls<'a>(urls: impl IntoIterator<Item = UrlCheck<'a>>) -> Vec<SettingError> {
    let judge = |url: UrlCheck<'_>| Some(SettingError::new(url.key, (url.check)(url.url).err()?));
    urls.into_iter().filter_map(judge).collect()
}

impl Config {
    /// Pairs the URLs of every source with who judges them: `check`, and `check_secured` where the database is to limit the rows by who
    /// asks.
    pub fn source_urls(
        &self,
        check: fn(&str) -> Result<(), String>,
        check_secured: fn(&str) -> Result<(), String>,
    ) -> impl Iterator<Item = UrlCheck<'_>> {
        self.sources.iter().flat_map(move |(name, source)| {
            let check = if source.row_level_security { check_secured } else { check };
            let own = source.tenants.iter();
            let own = own.map(move |(tenant, own)| (format!("sources.{name}.tenants.{tenant}.url"), &own.url));
            let all = std::iter::once((format!("sources.{name}.url"), &source.url)).chain(own);
            // That one is needed is told where the settings are held together.
            let all = all.filter(|(_, url)| !url.expose().is_empty());
            all.map(move |(key, url)| UrlCheck { key, url: url.expose(), check })
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
    fn this_machine_is_known_by_all_of_its_names() {
        for here in [
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "https://[::1]/x",
            "http://[::ffff:127.0.0.1]",
            "http://LOCALHOST:1",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in
            ["http://127.0.0.1.example.com", "http://localhost.example", "http://10.0.0.1", "127.0.0.1:80", ""]
        {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn every_url_that_is_not_known_is_told_without_what_follows_its_scheme() {
        assert_eq!((SCHEMES.find("one:x"), SCHEMES.find("two://x")), (Ok(1), Ok(2)));
        let wrong =
            ["two:///x", "two://u:hunter2@host:99999", "two://u:hunter2@"].map(|url| SCHEMES.find(url).unwrap_err());
        assert_eq!(
            wrong,
            [
                "names no server or bucket behind `two://`",
                "is not a URL: invalid port number",
                "is not a URL: empty host"
            ]
        );
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
