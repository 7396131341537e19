//! What `waitless doctor` tries of mail: everything up to a mail, and with a recipient a mail.

use std::time::Instant;

use configuration::Config;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::commands::Ehlo;
use model::finding::Findings;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::smtp::SmtpTransport;
use super::{OutgoingMail, recipient, transport};
use crate::channel::SendError;

/// A notification with a logo is no larger.
const LARGEST_OF_OURS: u64 = 1 << 20;

/// Tries what `mail.url` names and notes how it went. With `to`, a mail goes there.
pub async fn diagnose_channel(config: &Config, to: Option<&str>, findings: &mut Findings) {
    let folder = config.mail.url.expose().strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
    if let Some(folder) = folder.filter(|folder| to.is_none() && !std::path::Path::new(folder).exists()) {
        return findings.ok(format!("the folder of mails {folder} is not there yet: the first start makes it"));
    }
    let opened = match transport::open(&config.mail) {
        Ok(opened) => opened,
        Err(error) => return findings.fail(format!("{error:#}"), "correct mail.url or mail.ca_file"),
    };
    opened.diagnose(findings).await;
    if config.mail.allow.is_empty() {
        findings.warn("mail.allow is empty: nobody gets mail", "list domains in mail.allow, such as \"@example.com\"");
    }
    let Some(to) = to else { return };
    match compose(config, to) {
        Ok(mail) => match opened.send(&mail).await {
            Ok(()) => findings.ok(format!("a mail to {to} was taken; see that it arrives, and not among the spam")),
            Err(error) => {
                let advice = advice(&error);
                findings.fail(format!("a mail to {to} was not taken: {error}"), advice);
            }
        },
        Err(why) => findings.fail(
            format!("no mail can go to {to}: {why}"),
            "name another address, or correct mail.from and mail.allow",
        ),
    }
}

fn compose(config: &Config, to: &str) -> Result<OutgoingMail, String> {
    let from: Mailbox = config.mail.from.parse().map_err(|_| "mail.from is not an address".to_owned())?;
    let to = recipient::check(to, &config.mail.allow).map_err(|error| error.to_string())?;
    let id = Uuid::now_v7();
    let name = &config.mail.brand.name;
    let body = format!("`waitless doctor` sent this to see that mail from {name} arrives. Nothing is to be done.\r\n");
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(format!("{name}: a mail to try the way"))
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .body(body)
        .map_err(|error| error.to_string())?;
    Ok(OutgoingMail { id, from: from.email, to, message: message.formatted() })
}

/// What a mail server says of itself.
#[derive(Debug)]
struct ServerFacts {
    place: String,
    is_encrypted: bool,
    has_signed_in: bool,
    /// Bytes of the largest mail that it takes, where it says so.
    largest: Option<u64>,
}

/// Signs in and asks what the server says of itself once it knows who asks. Sends nothing.
async fn get_to_know(server: &SmtpTransport) -> Result<ServerFacts, SendError> {
    let (tell, told) = oneshot::channel();
    let ask = move |server: &SmtpTransport, deadline: Instant| -> Result<SmtpConnection, SendError> {
        let mut connection = server.connect(deadline)?;
        let hello = Ehlo::new(server.client_id.clone());
        let answer = server.with_deadline(&mut connection, deadline)?.command(hello);
        let answer = answer.map_err(|error| SendError::retry(server.describe("the greeting was refused", &error)))?;
        let sizes = answer.message().filter_map(|line| line.strip_prefix("SIZE ")?.trim().parse::<u64>().ok());
        let facts = ServerFacts {
            place: format!("{}:{}", server.host, server.port),
            is_encrypted: connection.is_encrypted(),
            has_signed_in: server.credentials.is_some(),
            largest: sizes.max().filter(|bytes| *bytes > 0),
        };
        let _nobody_waits = tell.send(facts);
        Ok(connection)
    };
    server.converse(SendError::retry(server.too_slow()), ask).await?;
    told.await.map_err(|_| SendError::retry("the mail server said nothing of itself"))
}

/// Signs in at a mail server and notes what it says of itself.
pub(super) async fn diagnose(server: &SmtpTransport, findings: &mut Findings) {
    let facts = match get_to_know(server).await {
        Ok(facts) => facts,
        Err(error) => {
            let advice = advice(&error);
            return findings.fail(error, advice);
        }
    };
    let place = facts.place;
    if facts.is_encrypted {
        findings.ok(format!("{place} answers, encrypted"));
    } else {
        findings.warn(
            format!("{place} answers, and mails with their links go there unencrypted"),
            "use smtp:// or smtps:// in mail.url, unless the server is on this machine",
        );
    }
    if facts.has_signed_in {
        findings.ok("it accepts our user and password");
    }
    match facts.largest {
        Some(bytes) if bytes < LARGEST_OF_OURS => findings.warn(
            format!("it takes mails of {} KiB at most", bytes >> 10),
            "raise its limit, or use a smaller logo (mail.logo): ours have up to 1 MiB",
        ),
        Some(bytes) => findings.ok(format!("it takes mails of up to {} MiB", bytes >> 20)),
        None => {}
    }
}

fn advice(error: &SendError) -> &'static str {
    let said = error.to_string();
    if said.contains("credentials") {
        "correct user and password in mail.url; some servers want a password made for programs"
    } else if said.contains("secure the connection") || said.contains("certificate") {
        "name the authority of its certificate in mail.ca_file; smtps:// is for port 465, smtp:// (STARTTLS) for 587"
    } else if said.contains("refuses the sender") {
        "correct mail.from: the server lets this user send as somebody else only"
    } else if said.contains("refuses the recipient") {
        "name another address with --mail-to"
    } else {
        "see that the server runs and that host and port of mail.url can be reached from here"
    }
}
