//! The table of channels: what opens each.

use std::sync::Arc;

use anyhow::Context as _;
use configuration::Config;
use model::delivery::Channel;
use model::finding::Findings;

use crate::channel::DeliveryChannel;
use crate::{email, webhook};

/// Opens a channel from its settings. Contacts nobody yet.
type Open = fn(&Config) -> anyhow::Result<Arc<dyn DeliveryChannel>>;

/// The table: a line a channel.
const fn opener(channel: Channel) -> Open {
    match channel {
        Channel::Email => email::open,
        Channel::Webhook => webhook::open,
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

/// Tries what a channel leads to and notes how it went; with `recipient`, up to a notification of its own. Of webhooks, the one of this
/// name.
pub async fn diagnose(config: &Config, channel: Channel, recipient: Option<&str>, findings: &mut Findings) {
    match channel {
        Channel::Email => email::diagnose_channel(config, recipient, findings).await,
        Channel::Webhook => webhook::diagnose_endpoint(config, recipient.unwrap_or_default(), findings).await,
    }
}
