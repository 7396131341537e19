//! The table of channels: what opens each.

use std::sync::Arc;

use anyhow::Context as _;
use configuration::Config;
use model::delivery::Channel;
use model::finding::Findings;

use crate::channel::DeliveryChannel;
use crate::email;

/// Opens a channel from its settings. Contacts nobody yet.
type Open = fn(&Config) -> anyhow::Result<Arc<dyn DeliveryChannel>>;

/// The table: a line a channel.
const fn opener(channel: Channel) -> Open {
    match channel {
        Channel::Email => email::open,
    }
}

/// Opens every channel.
///
/// # Errors
/// Says which channel's settings cannot work and why.
pub fn open_all(config: &Config) -> anyhow::Result<Vec<Arc<dyn DeliveryChannel>>> {
    let open =
        |channel| opener(channel)(config).with_context(|| format!("open the channel {}", Channel::as_str(channel)));
    Channel::ALL.into_iter().map(open).collect()
}

/// Tries what every channel leads to and notes how it went; with `recipient`, up to a notification of its own.
pub async fn diagnose_all(config: &Config, recipient: Option<&str>, findings: &mut Findings) {
    for channel in Channel::ALL {
        match channel {
            Channel::Email => email::diagnose_channel(config, recipient, findings).await,
        }
    }
}
