//! One file a command.

mod audit;
mod check;
mod completion;
mod config;
mod doctor;
mod erase;
mod execute;
mod jobs;
mod keys;
mod links;
mod migrate;
mod pauses;
mod ready;
mod reports;
mod resend;
mod run;
mod schedules;
pub(crate) mod show;
mod up;
mod watch;

pub(crate) use execute::execute;

use std::process::ExitCode;

use configuration::{Config, SettingError, UrlCheck, is_loopback, wrong_urls};

use crate::cli::GatewayArgs;
use crate::client::GatewayClient;
use crate::data_folder::DataFolder;

/// The job failed.
pub(crate) const FAILED: u8 = 3;
/// The job was cancelled.
pub(crate) const CANCELLED: u8 = 4;
/// Nobody answered for too long.
pub(crate) const UNREACHABLE: u8 = 5;
/// The job is done, but not in every format.
pub(crate) const IN_PART: u8 = 6;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a command ends.
pub(crate) type CommandResult = anyhow::Result<ExitCode>;

/// Has mail and sources judge their URLs, before anything is opened or made; everything in one process opens these too.
pub(crate) fn check_mail_and_sources(config: &Config) -> Vec<SettingError> {
    let url = config.mail.url.expose();
    let mail = UrlCheck { key: "mail.url".to_owned(), url, check: notifier::email::check_url };
    wrong_urls(std::iter::once(mail).chain(config.source_urls(sources::check_url, sources::check_secured_url)))
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
        None if is_loopback(&url) => folder.read_key()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_documentation() {
        let page = include_str!("../../../docs/CLI.md");
        for code in [0, 1, 2, FAILED, CANCELLED, UNREACHABLE, IN_PART, INTERRUPTED] {
            assert!(page.contains(&format!("\n| {code} | ")), "{code} is not in CLI.md");
        }
    }
}
