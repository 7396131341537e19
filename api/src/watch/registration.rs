//! A watcher's registration at the hub.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::job::Caller;
use tokio::sync::{mpsc, watch};

use super::hub::Hub;
use super::hub_message::HubMessage;
use super::subscribers::{Mailbox, Topic};

/// Ends when dropped.
#[derive(Debug)]
pub struct Registration {
    hub: Arc<Hub>,
    number: u64,
    topic: Topic,
    caller: Caller,
    /// Where messages arrive.
    pub messages: mpsc::Receiver<HubMessage>,
    /// Set when one did not fit.
    pub missed: Arc<AtomicBool>,
    /// Changes when some were lost for everybody.
    pub losses: watch::Receiver<u64>,
}

impl Registration {
    pub(super) fn new(hub: Arc<Hub>, topic: Topic, caller: Caller, mailbox: Mailbox) -> Self {
        let Mailbox { number, messages, missed } = mailbox;
        Self { losses: hub.losses(), hub, number, topic, caller, messages, missed }
    }

    /// Returns the hub it is registered at.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.unregister(self.number, &self.topic, &self.caller);
    }
}
