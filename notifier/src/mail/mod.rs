//! How a mail leaves: over SMTP, or into a folder.

mod folder;
mod smtp;

use std::sync::Arc;

use async_trait::async_trait;
use lettre::Address;
use uuid::Uuid;

pub use folder::Folder;
pub use smtp::Smtp;

/// A finished mail to one recipient. One mail a recipient: a server that refuses one refuses the whole mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The delivery's id, the same at every try.
    pub id: Uuid,
    /// Whom the server tells when it cannot be delivered.
    pub from: Address,
    /// Whom it goes to.
    pub to: Address,
    /// The message as it goes over the wire: ASCII, CRLF, the same at every try.
    pub message: Vec<u8>,
}

/// Why a mail was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A later try may work. Whether this one did may be unknown: see [`crate::notify`].
    #[error("{0}")]
    MayPass(String),
    /// The server refused this mail or this recipient for good.
    #[error("{0}")]
    Refused(String),
}

/// Hands mails over. Implementations pass one set of conformance tests (`tests/it/mailer.rs`):
/// * `Ok` means that the receiver answered for it: a final 2xx, or bytes that survive a loss of power.
/// * A call ends within `mail.timeout` and a second or two, whatever the other side does.
/// * Sending the same mail again is safe: it carries the same `Message-ID` and content.
#[async_trait]
pub trait Mailer: Send + Sync + std::fmt::Debug {
    /// Hands one mail over.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
    /// Names the kind for people: `smtp` or `folder`.
    fn kind(&self) -> &'static str;
}

/// Opens what `mail.url` names. Contacts nobody yet.
///
/// # Errors
/// Says what is wrong with the URL, without the password in it.
pub fn open(config: &configuration::Mail) -> anyhow::Result<Arc<dyn Mailer>> {
    let url = config.url.expose();
    match url.strip_prefix("file:") {
        Some(folder) => {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            Ok(Arc::new(Folder::open(folder.as_ref(), config.timeout)?))
        }
        None => Ok(Arc::new(Smtp::open(url, config.ca_file.as_deref(), config.timeout)?)),
    }
}
