//! Whom a mail may go to.

use lettre::Address;
use model::delivery::Channel;
use model::recipient::RecipientError;

use super::RenderError;

/// Reads the address, by the rule that the gateway has: the list may have changed since, and a row is only a row.
pub(super) fn check(recipient: &str, allow: &[String]) -> Result<Address, RenderError> {
    Channel::Email.check_recipient(recipient, allow).map_err(|error| match error {
        RecipientError::NotAllowed | RecipientError::NoSuchWebhook => RenderError::NotAllowed,
        RecipientError::NotAnAddress | RecipientError::LocalPartBeyondAscii | RecipientError::NotAName => {
            RenderError::NotAnAddress
        }
    })?;
    recipient.parse().map_err(|_| RenderError::NotAnAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_lets_in_is_an_address_to_the_mail_library_too() {
        let allow = ["*".to_owned()];
        for good in ["ana@example.com", "a.b+c@x-y.example", "o'hara@EXAMPLE.org", "{a}|b@a-b.c1", "x@localhost"] {
            assert_eq!(check(good, &allow).unwrap().to_string(), good);
        }
        assert!(matches!(check("ana@example.com\r\nBcc: eve@example.com", &allow), Err(RenderError::NotAnAddress)));
        assert!(matches!(check("ana@example.com", &[]), Err(RenderError::NotAllowed)));
    }
}
