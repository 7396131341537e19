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

use configuration::{Config, Role};

use crate::cli::{Configured, Server};
use crate::client::Gateway;
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
pub(crate) type Outcome = anyhow::Result<ExitCode>;

/// Loads the configuration that `--config` and `--data` lead to, as far as a process of this role needs it.
pub(crate) fn load(role: Role, configured: &Configured) -> anyhow::Result<Config> {
    let data =
        configured.data.as_ref().map(|folder| ("WAITLESS_SERVICE__DATA_DIR".to_owned(), folder.display().to_string()));
    Ok(Config::load_with(role, configured.config.as_deref(), data)?)
}

/// Prepares calls to the gateway that `--url`, `--key` and the data folder lead to.
pub(crate) fn connect(server: &Server) -> anyhow::Result<Gateway> {
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
    Gateway::new(&url, key)
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
