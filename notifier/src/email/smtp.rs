//! SMTP, one connection a mail.
//!
//! lettre's synchronous client on blocking threads: its pooled asynchronous one gives a half-used connection back when a send
//! is cancelled, and the next mail reads the old answer. Every step looks at one deadline, so a server that is silent, slow or
//! endlessly polite costs `mail.timeout` and no more.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use async_trait::async_trait;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use lettre::transport::smtp::{self};
use model::finding::Findings;
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;
use url::Url;

use super::diagnose::diagnose;
use super::refusal::{Asked, is_final};
use super::transport::{MAIL_URLS, MailKind};
use super::{MailTransport, OutgoingMail};
use crate::channel::SendError;

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpTransport {
    pub(super) host: String,
    pub(super) port: u16,
    tls_mode: TlsMode,
    pub(super) credentials: Option<Credentials>,
    pub(super) client_id: ClientId,
    timeout: Duration,
}

/// How the connection is kept private.
#[derive(Clone)]
enum TlsMode {
    /// `smtps:`: TLS from the first byte.
    Wrapped(TlsParameters),
    /// `smtp:`: STARTTLS, and no mail without it.
    StartTls(TlsParameters),
    /// `smtp+plain:`: none.
    None,
}

impl std::fmt::Debug for TlsMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wrapped(_) => "Wrapped",
            Self::StartTls(_) => "StartTls",
            Self::None => "None",
        })
    }
}

/// Says whose certificates are believed.
fn tls_parameters(host: String, ca_file: Option<&Path>) -> anyhow::Result<TlsParameters> {
    let mut trusted = TlsParameters::builder(host);
    if let Some(path) = ca_file {
        let named = || format!("mail.ca_file {}", path.display());
        let pem = std::fs::read(path).with_context(named)?;
        trusted = trusted.add_root_certificate(Certificate::from_pem(&pem).with_context(named)?);
    }
    trusted.build().context("prepare TLS for mail.url")
}

impl SmtpTransport {
    /// Reads `smtp://user:password@host:port`, `smtps://…` or `smtp+plain://…`. The authorities in `ca_file` are trusted beside
    /// the system's.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn open(url: &str, ca_file: Option<&Path>, timeout: Duration) -> anyhow::Result<Self> {
        let kind = MAIL_URLS.find(url).map_err(|why| anyhow!("mail.url {why}"))?;
        let url = Url::parse(url).context("mail.url is not a URL")?;
        let host = url.host_str().filter(|host| !host.is_empty()).context("mail.url names no host")?.to_owned();
        let tls = || tls_parameters(host.clone(), ca_file);
        let (tls_mode, default_port) = match kind {
            MailKind::Smtps => (TlsMode::Wrapped(tls()?), 465),
            MailKind::StartTls => (TlsMode::StartTls(tls()?), 587),
            MailKind::PlainSmtp => (TlsMode::None, 25),
            MailKind::Folder => bail!("mail.url names a folder, not a mail server"),
        };
        let loopback = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        if matches!(tls_mode, TlsMode::None) && !loopback {
            tracing::warn!(%host, "mails and their links go over the network unencrypted (smtp+plain)");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let user = decoded(url.username()).context("mail.url: the user is not UTF-8")?;
        let password = decoded(url.password().unwrap_or_default()).context("mail.url: the password is not UTF-8")?;
        Ok(Self {
            host,
            port: url.port().unwrap_or(default_port),
            tls_mode,
            credentials: (!user.is_empty()).then(|| Credentials::new(user, password)),
            client_id: ClientId::default(),
            timeout,
        })
    }

    /// Speaks SMTP up to the server's final answer.
    fn transmit(&self, mail: &OutgoingMail, deadline: Instant) -> Result<SmtpConnection, SendError> {
        let mut connection = self.connect(deadline)?;
        let non_ascii = !(mail.from.to_string().is_ascii() && mail.to.to_string().is_ascii());
        let mut options = Vec::new();
        if non_ascii {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(SendError::Rejected("the mail server takes only addresses of plain letters".to_owned()));
            }
            options.extend([MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)]);
        }
        let host = self.with_deadline(&mut connection, deadline)?;
        self.final_2xx(Asked::Sender, host.command(MailFrom::new(Some(mail.from.clone()), options)))?;
        let host = self.with_deadline(&mut connection, deadline)?;
        self.final_2xx(Asked::Recipient, host.command(Rcpt::new(mail.to.clone(), Vec::new())))?;
        let host = self.with_deadline(&mut connection, deadline)?;
        let go_on = host.command(Data).map_err(|error| self.classify(Asked::Start, &error))?;
        if !go_on.has_code(354) {
            return Err(SendError::retry(format!("the mail server answered {} to DATA", go_on.code())));
        }
        // From the next line to its answer lies the unknown window.
        let host = self.with_deadline(&mut connection, deadline)?;
        match host.message(&mail.message) {
            Err(error) if !(error.is_permanent() || error.is_transient()) => Err(SendError::Unknown(
                self.describe("the connection to the mail server broke before its answer", &error),
            )),
            answer => self.final_2xx(Asked::Content, answer).map(|()| connection),
        }
    }

    /// Connects, secures the connection and authenticates. Nothing that goes wrong here is the mail's fault, so all of it may pass,
    /// a wrong password included: somebody will correct it, and the mails are still there. A refusal is told apart, for somebody has to.
    pub(super) fn connect(&self, deadline: Instant) -> Result<SmtpConnection, SendError> {
        let may_pass = |doing: &'static str| {
            move |error: smtp::Error| {
                let said = self.describe(doing, &error);
                if error.is_permanent() { SendError::SenderRefused(said) } else { SendError::retry(said) }
            }
        };
        let wrapped = match &self.tls_mode {
            TlsMode::Wrapped(tls) => Some(tls),
            TlsMode::StartTls(_) | TlsMode::None => None,
        };
        let host = self.host.trim_matches(['[', ']']);
        let mut connection =
            SmtpConnection::connect((host, self.port), Some(self.remaining(deadline)?), &self.client_id, wrapped, None)
                .map_err(may_pass("cannot connect to the mail server"))?;
        if let TlsMode::StartTls(tls) = &self.tls_mode {
            self.with_deadline(&mut connection, deadline)?
                .starttls(tls, &self.client_id)
                .map_err(may_pass("cannot secure the connection to the mail server"))?;
        }
        if let Some(credentials) = &self.credentials {
            self.with_deadline(&mut connection, deadline)?
                .auth(DEFAULT_MECHANISMS, credentials)
                .map_err(may_pass("the mail server does not accept our credentials"))?;
        }
        Ok(connection)
    }

    /// Lets `speak` speak on a thread that may block, and says how it ended; or that it was `too_slow`, a second after the time-out.
    pub(super) async fn converse<F>(&self, too_slow: SendError, speak: F) -> Result<(), SendError>
    where
        F: FnOnce(&Self, Instant) -> Result<SmtpConnection, SendError> + Send + 'static,
    {
        let deadline = Instant::now() + self.timeout;
        let (tell, told) = oneshot::channel();
        let server = self.clone();
        tokio::task::spawn_blocking(move || match speak(&server, deadline) {
            Ok(mut connection) => {
                let _nobody_waits = tell.send(Ok(()));
                // Good manners, after the answer was passed on: nothing depends on it.
                if connection.set_timeout(Some(Duration::from_secs(2))).is_ok() {
                    let _bye = connection.quit();
                }
            }
            Err(error) => {
                let _nobody_waits = tell.send(Err(error));
            }
        });
        // Looking up a name and a server that trickles bytes are outside of the socket's time-outs; a thread that is still in
        // them sends nothing more after the deadline.
        match tokio::time::timeout(self.timeout + Duration::from_secs(1), told).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(SendError::retry("the thread that spoke to the mail server ended early")),
            Err(_) => Err(too_slow),
        }
    }

    /// Limits the connection's next step to what is left of the time.
    pub(super) fn with_deadline<'c>(
        &self,
        connection: &'c mut SmtpConnection,
        deadline: Instant,
    ) -> Result<&'c mut SmtpConnection, SendError> {
        let remaining = self.remaining(deadline)?;
        match connection.set_timeout(Some(remaining)) {
            Ok(()) => Ok(connection),
            Err(error) => Err(SendError::retry(format!("the connection to the mail server broke: {error}"))),
        }
    }

    fn remaining(&self, deadline: Instant) -> Result<Duration, SendError> {
        deadline
            .checked_duration_since(Instant::now())
            .filter(|remaining| !remaining.is_zero())
            .ok_or_else(|| SendError::retry(self.too_slow()))
    }

    pub(super) fn too_slow(&self) -> String {
        format!("the mail server did not answer within {} s", self.timeout.as_secs_f64())
    }

    /// Requires a final 2xx: lettre also counts 3xx as a success.
    fn final_2xx(&self, asked: Asked, answer: Result<Response, smtp::Error>) -> Result<(), SendError> {
        let answer = answer.map_err(|error| self.classify(asked, &error))?;
        if answer.code().severity == Severity::PositiveCompletion {
            return Ok(());
        }
        Err(SendError::retry(format!("the mail server answered {} to {}", answer.code(), asked.as_str())))
    }

    fn classify(&self, asked: Asked, error: &smtp::Error) -> SendError {
        let what = asked.as_str();
        if error.is_permanent() {
            let said = self.describe(&format!("the mail server refuses {what}"), error);
            return if is_final(asked, error) { SendError::Rejected(said) } else { SendError::SenderRefused(said) };
        }
        if error.is_transient() {
            return SendError::retry(self.describe(&format!("the mail server does not take {what} now"), error));
        }
        SendError::retry(self.describe("the connection to the mail server broke", error))
    }

    /// What happened and what the server said, as one line of bounded length.
    pub(super) fn describe(&self, doing: &str, error: &smtp::Error) -> String {
        if ran_out_of_time(error) {
            return self.too_slow();
        }
        describe(doing, error)
    }
}

#[async_trait]
impl MailTransport for SmtpTransport {
    async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let mail = mail.clone();
        // A thread that is still at it may be in the unknown window.
        let too_slow = SendError::Unknown(self.too_slow());
        self.converse(too_slow, move |server, deadline| server.transmit(&mail, deadline)).await
    }

    async fn diagnose(&self, findings: &mut Findings) {
        diagnose(self, findings).await;
    }

    async fn check(&self) -> Result<(), SendError> {
        self.converse(SendError::retry(self.too_slow()), Self::connect).await
    }

    fn kind(&self) -> &'static str {
        "smtp"
    }
}

/// Tells whether the socket's time ran out. Unix says of it that the resource is temporarily unavailable.
fn ran_out_of_time(error: &smtp::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock);
        }
        source = inner.source();
    }
    false
}

/// What happened and what the server said, as one line of bounded length.
fn describe(doing: &str, error: &smtp::Error) -> String {
    let mut text = format!("{doing}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
