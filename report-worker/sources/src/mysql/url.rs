//! How a MySQL or MariaDB server is reached: what its URL says, TLS included.

use std::path::PathBuf;

use mysql_async::{Opts, OptsBuilder, SslOpts};

/// A server, and the TLS that is asked for.
#[derive(Debug)]
pub(super) struct ServerOptions {
    pub(super) options: Opts,
    /// To be used where the server offers no TLS and none is insisted on.
    pub(super) without_tls: Option<Opts>,
}

/// Reads `mysql://…` or `mariadb://…`. `ssl-mode` is `disabled`, `preferred` (where it is not said), `required`, `verify_ca` or
/// `verify_identity`, as in MySQL's own clients; `ssl-ca` names a file of authorities in place of the built-in ones.
///
/// # Errors
/// Says what cannot be read; never with the URL or its password.
pub(super) fn read_url(url: &str) -> Result<ServerOptions, String> {
    let UrlParts { url, mode, ca_file } = take_tls(url);
    let options = Opts::from_url(&url).map_err(|error| format!("it cannot be read: {error}"))?;
    if options.db_name().is_none() {
        return Err("it names no database; write mysql://user:password@host:3306/database".to_owned());
    }
    // A connection to this machine would otherwise be given up for another one to a socket file.
    let plain = OptsBuilder::from_opts(options).prefer_socket(false).stmt_cache_size(64);
    let authorities = |tls: SslOpts| match ca_file {
        Some(path) => tls.with_root_certs(vec![path.into()]).with_disable_built_in_roots(true),
        None => tls,
    };
    let (tls, insists) = match mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("disabled") => return Ok(ServerOptions { options: plain.into(), without_tls: None }),
        None | Some("preferred") => (SslOpts::default().with_danger_accept_invalid_certs(true), false),
        Some("required") => (SslOpts::default().with_danger_accept_invalid_certs(true), true),
        Some("verify_ca") => (authorities(SslOpts::default()).with_danger_skip_domain_validation(true), true),
        Some("verify_identity") => (authorities(SslOpts::default()), true),
        Some(other) => {
            return Err(format!(
                "ssl-mode `{other}` is not disabled, preferred, required, verify_ca or verify_identity"
            ));
        }
    };
    let without_tls = (!insists).then(|| plain.clone().into());
    Ok(ServerOptions { options: plain.ssl_opts(tls).into(), without_tls })
}

#[derive(Debug, PartialEq)]
struct UrlParts {
    url: String,
    mode: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Takes `ssl-mode` and `ssl-ca` out of a URL, and gives it the only scheme the driver knows.
fn take_tls(url: &str) -> UrlParts {
    let url = url.strip_prefix("mariadb:").map_or_else(|| url.to_owned(), |rest| format!("mysql:{rest}"));
    let (base, query) = url.split_once('?').unwrap_or((&url, ""));
    let (mut mode, mut ca_file, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("ssl-mode", value)) => mode = Some(value.to_owned()),
            Some(("ssl-ca", value)) => ca_file = Some(PathBuf::from(value)),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    UrlParts { url, mode, ca_file }
}

#[cfg(test)]
mod tests {
    use super::{read_url, take_tls};

    #[test]
    fn what_is_about_tls_is_taken_out_of_the_url_and_nothing_else() {
        let parts = take_tls("mariadb://u:p@h/db?tcp_nodelay=true&ssl-mode=REQUIRED&ssl-ca=/etc/ca.pem");
        assert_eq!(parts.url, "mysql://u:p@h/db?tcp_nodelay=true");
        assert_eq!(parts.mode.as_deref(), Some("REQUIRED"));
        assert_eq!(parts.ca_file.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
    }

    #[test]
    fn tls_is_given_up_only_where_it_is_not_insisted_on() {
        let server = |mode: &str| read_url(&format!("mysql://u:p@h/db{mode}")).unwrap();
        for (mode, has_tls, gives_up) in [
            ("", true, true),
            ("?ssl-mode=disabled", false, false),
            ("?ssl-mode=preferred", true, true),
            ("?ssl-mode=required", true, false),
            ("?ssl-mode=VERIFY_IDENTITY", true, false),
        ] {
            let server = server(mode);
            assert_eq!(
                (server.options.ssl_opts().is_some(), server.without_tls.is_some()),
                (has_tls, gives_up),
                "{mode}"
            );
        }
        let verifying = server("?ssl-mode=verify_ca&ssl-ca=/etc/ca.pem");
        let tls = verifying.options.ssl_opts().unwrap();
        assert!(!tls.accept_invalid_certs() && tls.skip_domain_validation() && tls.disable_built_in_roots());
    }

    #[test]
    fn a_url_that_cannot_be_used_keeps_its_password() {
        for url in
            ["mysql://u:hunter2@h/db?ssl-mode=sometimes", "mysql://u:hunter2@h", "mysql://u:hunter2@h/db?nonsense=1"]
        {
            let why = read_url(url).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
