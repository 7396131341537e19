//! How a PostgreSQL server is reached: what its URL says, TLS included. For Waitless's own database and for sources alike.

mod pooler;
mod tls;

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use pooler::is_pooled;

use tls::Check;

/// Reads `postgres://…`: the server, and the TLS that `sslmode` asks for (`disable`, `prefer`, `require`, `verify-ca` or
/// `verify-full`, as in PostgreSQL's own clients). Authorities are those of the file `sslrootcert` names, of `ca_file`, or the
/// platform's. Connects to nothing.
///
/// # Errors
/// Says what cannot be read or used; never with the URL or its password.
pub fn read_url(url: &str, ca_file: Option<&Path>) -> Result<(Config, MakeRustlsConnect), String> {
    let Parts { url, mode, ca_file: named } = take_tls(url);
    let mut server: Config = url.parse().map_err(|error| format!("it cannot be read: {}", with_causes(&error)))?;
    let (ssl, check) = match mode.as_deref() {
        Some("disable") => (SslMode::Disable, Check::Nothing),
        None | Some("prefer" | "allow") => (SslMode::Prefer, Check::Nothing),
        Some("require") => (SslMode::Require, Check::Nothing),
        Some("verify-ca") => (SslMode::Require, Check::Authority),
        Some("verify-full") => (SslMode::Require, Check::AuthorityAndName),
        Some(other) => {
            return Err(format!("sslmode `{other}` is not disable, prefer, require, verify-ca or verify-full"));
        }
    };
    server.ssl_mode(ssl);
    Ok((server, tls::connector(check, named.as_deref().or(ca_file))?))
}

/// Returns an error with everything it was caused by: the driver's errors keep what matters in their sources.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// A URL without what the driver does not know.
#[derive(Debug, PartialEq)]
struct Parts {
    url: String,
    mode: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Takes `sslmode` and `sslrootcert` out of a URL: the driver knows only three of the five modes, and no file.
fn take_tls(url: &str) -> Parts {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut ca_file, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => ca_file = Some(PathBuf::from(value)),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Parts { url, mode, ca_file }
}

#[cfg(test)]
mod tests {
    use super::{read_url, take_tls};

    #[test]
    fn what_is_about_tls_is_taken_out_of_the_url_and_nothing_else() {
        let parts = take_tls("postgres://u:p@h/db?connect_timeout=3&sslmode=verify-full&target_session_attrs=any");
        assert_eq!(parts.url, "postgres://u:p@h/db?connect_timeout=3&target_session_attrs=any");
        assert_eq!((parts.mode.as_deref(), parts.ca_file), (Some("verify-full"), None));
        let parts = take_tls("postgres://h/db?sslmode=disable&sslrootcert=/etc/ca.pem");
        assert_eq!((parts.url.as_str(), parts.mode.as_deref()), ("postgres://h/db", Some("disable")));
        assert_eq!(parts.ca_file.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
        assert_eq!(take_tls("postgres://h/db").mode, None);
    }

    #[test]
    fn an_unknown_mode_is_named_and_the_password_is_not() {
        let Err(why) = read_url("postgres://u:hunter2@h/db?sslmode=sometimes", None) else { panic!("accepted") };
        assert!(why.contains("`sometimes`") && !why.contains("hunter2"), "{why}");
    }
}
