//! How a mail leaves: over SMTP, or into a folder.

use async_trait::async_trait;
use lettre::Address;
use uuid::Uuid;

use super::{FolderTransport, SmtpTransport};
use crate::channel::SendError;

/// A finished mail to one recipient. One mail a recipient: a server that refuses one refuses the whole mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The delivery's id, the same at every try.
    pub id: Uuid,
    /// Whom the server tells when it cannot be delivered.
    pub from: Address,
    /// Whom it goes to.
    pub to: Address,
    /// The message as it goes over the wire: ASCII, CRLF, the same at every try.
    pub message: Vec<u8>,
}

/// Hands mails over, by the contract of [`crate::channel::DeliveryChannel`].
#[async_trait]
pub trait MailTransport: Send + Sync + std::fmt::Debug {
    /// Hands one mail over.
    async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError>;
    /// Tells whether a mail could be handed over now, as far as can be seen without one.
    async fn check(&self) -> Result<(), SendError>;
    /// Names the kind for people: `smtp` or `folder`.
    fn kind(&self) -> &'static str;
}

/// Opens what `mail.url` names. Contacts nobody yet.
///
/// # Errors
/// Says what is wrong with the URL, without the password in it.
pub(super) fn open(config: &configuration::Mail) -> anyhow::Result<Box<dyn MailTransport>> {
    let url = config.url.expose();
    match url.strip_prefix("file:") {
        Some(folder) => {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            Ok(Box::new(FolderTransport::open(folder.as_ref(), config.timeout)?))
        }
        None => Ok(Box::new(SmtpTransport::open(url, config.ca_file.as_deref(), config.timeout)?)),
    }
}

#[cfg(test)]
mod tests {
    use configuration::{Config, Secret};
    use model::delivery::Channel;

    use super::open;

    #[tokio::test]
    async fn every_scheme_that_the_configuration_takes_is_opened_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut mail = Config::embedded(folder.path()).unwrap().mail;
        let schemes = Channel::Email.backend().unwrap().schemes;
        for scheme in schemes {
            let rest = if *scheme == "file:" { folder.path().to_str().unwrap() } else { "mail.example.com" };
            mail.url = Secret::new(format!("{scheme}{rest}"));
            open(&mail).unwrap();
        }
        mail.url = Secret::new("imap://mail.example.com");
        let refused = format!("{:#}", open(&mail).unwrap_err());
        for scheme in schemes {
            assert!(refused.contains(scheme.trim_end_matches("//")), "{scheme}: {refused}");
        }
    }
}
