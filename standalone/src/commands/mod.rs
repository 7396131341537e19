//! One file a command.

pub(crate) mod check;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod migrate;
pub(crate) mod reports;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod up;
pub(crate) mod watch;

use std::process::ExitCode;

use configuration::{Config, ConfigError, UrlCheck, check_urls};

use crate::cli::GatewayArgs;
use crate::client::GatewayClient;
use crate::data_folder::DataFolder;

/// The job failed.
pub(crate) const FAILED: u8 = 3;
/// The job was cancelled.
pub(crate) const CANCELLED: u8 = 4;
/// Nobody answered for too long.
pub(crate) const UNREACHABLE: u8 = 5;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a command ends.
pub(crate) type CommandResult = anyhow::Result<ExitCode>;

/// Has the backends that everything in one process opens judge their URLs, before anything is opened or made.
///
/// # Errors
/// Lists every URL that nobody opens.
pub(crate) fn check_backends(config: &Config) -> Result<(), ConfigError> {
    let one = |key: &str, url, check| UrlCheck { key: key.to_owned(), url, check };
    let backends = [
        one("database.url", config.database.url.expose(), runtime::check_store_url as fn(&str) -> Result<(), String>),
        one("broker.url", config.broker.url.expose(), broker::check_url),
        one("storage.url", &config.storage.url, storage::check_url),
        one("mail.url", config.mail.url.expose(), notifier::email::check_url),
    ];
    check_urls(backends.into_iter().chain(config.source_urls(sources::check_url)))
}

/// Prepares calls to the gateway that `--url`, `--key` and the data folder lead to.
pub(crate) fn connect(server: &GatewayArgs) -> anyhow::Result<GatewayClient> {
    let folder = DataFolder::new(&server.data);
    let url = match &server.url {
        Some(url) => url.clone(),
        None => folder.read_address()?.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
    };
    let key = match &server.key {
        Some(key) => Some(key.clone()),
        // The key of this machine's folder is for this machine: another one has no business to see it.
        None if is_local(&url) => folder.read_key()?,
        None => None,
    };
    let key = key.ok_or_else(|| {
        anyhow::anyhow!(
            "no API key for {url}: name one with --key or WAITLESS_KEY, or --data with the folder of a `waitless up` on this machine \
             (there is none in {})",
            server.data.display()
        )
    })?;
    GatewayClient::new(&url, key)
}

fn is_local(url: &str) -> bool {
    let host = url.parse::<url::Url>().ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_documentation() {
        let page = include_str!("../../../docs/CLI.md");
        for code in [0, 1, 2, FAILED, CANCELLED, UNREACHABLE, INTERRUPTED] {
            assert!(page.contains(&format!("\n| {code} | ")), "{code} is not in CLI.md");
        }
    }
}
