//! Whom a mail server's refusal is about.
//!
//! A reply of 5xx is final only where it is about this recipient or this content. Everything else is about us or the server: a quota,
//! credentials, a policy, a name it does not know. Somebody mends that, and the mails are still there. The reply's code says at which
//! step it was given; the enhanced code in its text (RFC 3463) says more, where there is one.

use lettre::transport::smtp::{self, response::Code};

/// What a mail server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the content.
    Start,
    /// The end of the content.
    Content,
}

impl Asked {
    /// Names it for people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Start | Self::Content => "the mail",
        }
    }
}

/// Tells whether a permanent refusal is about this recipient or this content, so that no later try can succeed.
pub(super) fn is_final(asked: Asked, error: &smtp::Error) -> bool {
    let Some(code) = error.status().map(number) else { return false };
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    is_about_this_mail(asked, code, &said)
}

fn number(code: Code) -> u16 {
    u16::from(code)
}

fn is_about_this_mail(asked: Asked, code: u16, said: &str) -> bool {
    match (asked, enhanced(said)) {
        // The sender's address, system or domain.
        (_, Some((1, 7 | 8))) => false,
        // The content, such as letters beyond ASCII in an address; an address or a mailbox; what is too large for the system; a
        // domain that cannot be reached, or that says so of an address it does not know.
        (_, Some((6, _)))
        | (Asked::Recipient | Asked::Content, Some((1 | 2, _)))
        | (Asked::Content, Some((3, 4)))
        | (Asked::Recipient, Some((4, 1 | 4))) => true,
        // The system, the way there, our commands, and policy: quotas, lists of senders, missing rights.
        (Asked::Sender | Asked::Start, _) | (_, Some((3 | 4 | 5 | 7, _))) => false,
        (Asked::Recipient, _) => matches!(code, 501 | 550 | 551 | 553 | 554 | 556),
        (Asked::Content, _) => matches!(code, 550 | 552 | 553 | 554),
    }
}

/// Reads `5.1.1` at the start of a reply, or `(#5.1.1)` in it, as subject and detail.
fn enhanced(said: &str) -> Option<(u16, u16)> {
    let inside = said.split_once("(#").and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    [said.split_whitespace().next(), inside].into_iter().flatten().find_map(parse)
}

fn parse(word: &str) -> Option<(u16, u16)> {
    let mut parts = word.trim_end_matches([':', ',']).split('.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    (class == "5" && parts.next().is_none()).then_some((subject.parse().ok()?, detail.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Asked, is_about_this_mail};

    #[test]
    fn what_is_about_the_recipient_or_the_content_is_final() {
        for (asked, code, said) in [
            (Asked::Recipient, 550, "no such user"),
            (Asked::Recipient, 550, "5.1.1 The email account that you tried to reach does not exist"),
            (Asked::Recipient, 550, "5.2.1 The email account is disabled"),
            (Asked::Recipient, 550, "5.4.1 Recipient address rejected: Access denied"),
            (Asked::Recipient, 553, "sorry, no mailbox here by that name (#5.1.1)"),
            (Asked::Recipient, 501, "5.1.3 Bad recipient address syntax"),
            (Asked::Recipient, 556, "the domain takes no mail"),
            (Asked::Content, 552, "5.3.4 Message size exceeds fixed limit"),
            (Asked::Content, 554, "5.6.0 Message is malformed"),
            (Asked::Content, 550, "5.1.1 unknown"),
            (Asked::Content, 554, "refused"),
            (Asked::Sender, 550, "5.6.7 SMTPUTF8 is required"),
        ] {
            assert!(is_about_this_mail(asked, code, said), "{asked:?} {code} {said}");
        }
    }

    #[test]
    fn what_is_about_the_sender_or_the_server_is_not() {
        for (asked, code, said) in [
            (Asked::Sender, 550, "not authorised"),
            (Asked::Sender, 530, "5.7.0 Authentication required"),
            (Asked::Sender, 550, "5.1.1 unknown"),
            (Asked::Sender, 552, "5.2.2 over quota"),
            (Asked::Recipient, 550, "5.1.8 Sender address rejected: Domain not found"),
            (Asked::Recipient, 550, "5.7.1 Unable to relay"),
            (Asked::Recipient, 554, "5.7.1 Service unavailable; Client host blocked using a list"),
            (Asked::Recipient, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
            (Asked::Recipient, 550, "5.4.5 Daily user sending limit exceeded"),
            (Asked::Recipient, 530, "authentication required"),
            (Asked::Recipient, 503, "bad sequence of commands"),
            (Asked::Recipient, 552, "too many recipients"),
            (Asked::Content, 550, "5.7.1 Message rejected as spam"),
            (Asked::Content, 554, "5.3.0 the system is out of order"),
            (Asked::Start, 554, "no valid recipients"),
        ] {
            assert!(!is_about_this_mail(asked, code, said), "{asked:?} {code} {said}");
        }
    }

    #[test]
    fn an_address_of_a_machine_is_no_enhanced_code() {
        assert!(is_about_this_mail(Asked::Recipient, 550, "5.7.1.9 knows no such user"));
    }
}
