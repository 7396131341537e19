//! How a mail leaves: over SMTP, or into a folder.

use async_trait::async_trait;
use configuration::UrlSchemes;
use lettre::Address;
use model::finding::Findings;
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
    /// Tries what can be tried without a mail, and notes how it went and what to do.
    async fn diagnose(&self, findings: &mut Findings);
    /// Names the kind for people: `smtp` or `folder`.
    fn kind(&self) -> &'static str;
}

/// What `mail.url` leads to.
#[derive(Debug, Clone, Copy)]
pub enum MailKind {
    /// A folder of `.eml` files.
    Folder,
    /// SMTP with TLS from the first byte.
    Smtps,
    /// SMTP with STARTTLS.
    StartTls,
    /// SMTP without any protection.
    PlainSmtp,
}

/// Every way `mail.url` may begin.
pub const MAIL_URLS: UrlSchemes<MailKind> = UrlSchemes(&[
    ("file:", MailKind::Folder),
    ("smtp://", MailKind::StartTls),
    ("smtps://", MailKind::Smtps),
    ("smtp+plain://", MailKind::PlainSmtp),
]);

/// Tells whether there is a way to send for a URL; the rest of it is judged when it is opened.
///
/// # Errors
/// Says how URLs begin, without the URL.
pub fn check_url(url: &str) -> Result<(), String> {
    MAIL_URLS.find(url).map(drop)
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

    use super::{MAIL_URLS, open};

    #[tokio::test]
    async fn every_scheme_of_the_table_is_opened_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut mail = Config::embedded(folder.path()).unwrap().mail;
        for scheme in MAIL_URLS.prefixes() {
            let rest = if scheme == "file:" { folder.path().to_str().unwrap() } else { "mail.example.com" };
            mail.url = Secret::new(format!("{scheme}{rest}"));
            open(&mail).unwrap();
        }
        mail.url = Secret::new("imap://mail.example.com");
        let refused = format!("{:#}", open(&mail).unwrap_err());
        for scheme in MAIL_URLS.prefixes() {
            assert!(refused.contains(scheme.trim_end_matches("//")), "{scheme}: {refused}");
        }
    }
}
