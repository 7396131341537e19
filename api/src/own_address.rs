//! Where this service is, as whoever asks sees it: what links and cookies are made of.
//!
//! `service.public_url` says it. Without it, what a client says in header fields counts only as far as it cannot lead anybody
//! elsewhere: forwarded fields and a name in `Host` from a proxy that the configuration trusts, and otherwise an address of this machine.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName};
use configuration::{Config, Network};
use url::{Host, Url};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address at which a connection was accepted; kept with it.
#[derive(Debug, Clone, Copy)]
pub struct AcceptedAt(pub SocketAddr);

/// What is configured about it.
#[derive(Debug)]
pub struct OwnAddress {
    public_url: Option<String>,
    trusted_proxies: Vec<Network>,
}

impl OwnAddress {
    /// Takes it from the configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { public_url: config.service.public_url.clone(), trusted_proxies: config.http.trusted_proxies.clone() }
    }

    /// Returns the address that the configuration says, if it says one.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Returns what links begin with, without a slash at the end.
    #[must_use]
    pub fn base(&self, request: &HttpRequest) -> Cow<'_, str> {
        if let Some(url) = &self.public_url {
            return Cow::Borrowed(url);
        }
        let scheme = if self.is_https(request) { "https" } else { "http" };
        let trusted = self.comes_from_proxy(request);
        let told = self.forwarded_host(request).or_else(|| text(request, &HOST));
        let accepted = request.conn_data::<AcceptedAt>().map(|accepted| accepted.0);
        let host = told
            .and_then(|host| read_authority(scheme, host))
            .filter(|(host, _)| trusted || leads_here(host, accepted))
            .map(|(_, authority)| authority);
        Cow::Owned(match (host, accepted) {
            (Some(host), _) => format!("{scheme}://{host}"),
            (None, Some(accepted)) => format!("{scheme}://{accepted}"),
            // Without a connection there is only a test.
            (None, None) => format!("{scheme}://localhost"),
        })
    }

    /// Tells whether browsers speak to this service, or to the proxy before it, by TLS.
    #[must_use]
    pub fn is_https(&self, request: &HttpRequest) -> bool {
        let forwarded = || text(request, &FORWARDED_PROTO).map(|proto| first(proto).eq_ignore_ascii_case("https"));
        match &self.public_url {
            Some(url) => url.starts_with("https:"),
            None => self.comes_from_proxy(request) && forwarded().unwrap_or(false),
        }
    }

    /// Tells whether the configuration says that browsers speak to this service by TLS.
    #[must_use]
    pub fn is_always_https(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https:"))
    }

    /// Tells whether a page of this host and port is one of this service's, as far as this request says.
    #[must_use]
    pub fn is_own(&self, request: &HttpRequest, authority: &str) -> bool {
        let public = self.public_url.as_deref().and_then(split_url).map(|(public, _)| public);
        !authority.is_empty()
            && (text(request, &HOST) == Some(authority)
                || self.forwarded_host(request) == Some(authority)
                || public == Some(authority))
    }

    /// Returns what browsers put before every path of this service; `/` where that is nothing, and for whoever comes by another
    /// address than the public one.
    #[must_use]
    pub fn path(&self, request: &HttpRequest) -> &str {
        let Some((authority, path)) = self.public_url.as_deref().and_then(split_url) else { return "/" };
        let told = self.forwarded_host(request).or_else(|| text(request, &HOST));
        if told == Some(authority) { path } else { "/" }
    }

    /// Returns the address of the client: the connection's, or, from a proxy that is trusted, the last one in `X-Forwarded-For` that
    /// is not such a proxy's too. What stands before it anybody may have written.
    #[must_use]
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let trusts = |address: &IpAddr| self.trusted_proxies.iter().any(|network| network.contains(*address));
        if !trusts(&peer) {
            return Some(peer);
        }
        let lines = request.headers().get_all(FORWARDED_FOR).filter_map(|line| line.to_str().ok());
        let told: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut nearest = peer;
        for text in told.into_iter().rev() {
            let Ok(address) = text.parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !trusts(&nearest) {
                break;
            }
        }
        Some(nearest)
    }

    fn forwarded_host<'r>(&self, request: &'r HttpRequest) -> Option<&'r str> {
        text(request, &FORWARDED_HOST).map(first).filter(|_| self.comes_from_proxy(request))
    }

    fn comes_from_proxy(&self, request: &HttpRequest) -> bool {
        let peer = request.peer_addr().map(|peer| peer.ip());
        peer.is_some_and(|peer| self.trusted_proxies.iter().any(|network| network.contains(peer)))
    }
}

/// Cuts a URL into `host:port` and its path, which is `/` at least.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)))
}

/// Each proxy on the way adds one; the first is what the client used.
fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

fn text<'r>(request: &'r HttpRequest, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Reads `host` or `host:port`, and nothing that would be more of a URL.
fn read_authority(scheme: &str, text: &str) -> Option<(Host<String>, String)> {
    if text.is_empty() || text.contains(['/', '\\', '?', '#', '@', ' ']) {
        return None;
    }
    let url = Url::parse(&format!("{scheme}://{text}")).ok()?;
    let host = url.host()?.to_owned();
    let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    Some((host, authority))
}

/// A name could be anybody's, an address that the connection did not reach too.
fn leads_here(host: &Host<String>, accepted: Option<SocketAddr>) -> bool {
    let is_own = |address: IpAddr| {
        address.is_loopback() || accepted.is_some_and(|accepted| accepted.ip().to_canonical() == address.to_canonical())
    };
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => is_own((*address).into()),
        Host::Ipv6(address) => is_own((*address).into()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn ask(own: &OwnAddress, peer: &str, fields: &[(&'static str, &'static str)]) -> String {
        let mut request = TestRequest::get().peer_addr(format!("{peer}:40000").parse().unwrap());
        for field in fields {
            request = request.insert_header(*field);
        }
        own.base(&request.to_http_request()).into_owned()
    }

    fn own(public_url: Option<&str>) -> OwnAddress {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        OwnAddress { public_url: public_url.map(str::to_owned), trusted_proxies }
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_links_lead() {
        let said = |peer, fields: &[_]| ask(&own(None), peer, fields);
        for (fields, expected) in [
            (&[("host", "127.0.0.1:8080")][..], "http://127.0.0.1:8080"),
            (&[("host", "localhost:9000")], "http://localhost:9000"),
            (&[("host", "[::1]:8080")], "http://[::1]:8080"),
            (&[("host", "evil.example")], "http://localhost"),
            (&[("host", "203.0.113.9")], "http://localhost"),
            (&[("host", "localhost@evil.example")], "http://localhost"),
            (&[("host", "localhost"), ("x-forwarded-host", "evil.example")], "http://localhost"),
            (&[("host", "localhost"), ("x-forwarded-proto", "https")], "http://localhost"),
        ] {
            assert_eq!(said("192.0.2.1", fields), expected, "{fields:?}");
        }
        for (fields, expected) in [
            (&[("host", "reports.example")][..], "http://reports.example"),
            (&[("host", "x"), ("x-forwarded-host", "reports.example, inner")], "http://reports.example"),
            (&[("host", "reports.example"), ("x-forwarded-proto", "https, http")], "https://reports.example"),
            (&[("host", "reports.example"), ("x-forwarded-proto", "javascript")], "http://reports.example"),
            (&[("host", "reports.example/path")], "http://localhost"),
        ] {
            assert_eq!(said("10.1.2.3", fields), expected, "{fields:?}");
        }
        let public = own(Some("https://r.example/reports"));
        let fields = [("host", "evil.example"), ("x-forwarded-host", "evil.example")];
        assert_eq!(ask(&public, "10.1.2.3", &fields), "https://r.example/reports");
    }
}
