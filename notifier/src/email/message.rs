//! Puts a mail's headers and its two forms together.

use chrono::{DateTime, Utc};
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use uuid::Uuid;

use super::RenderError;
use super::render::{LOGO_ID, faulty};
use crate::compose::LogoImage;

/// What a message is made of.
pub(super) struct MessageParts<'a> {
    /// Identity, date and boundary come from here, so that every try gives the same bytes.
    pub(super) id: Uuid,
    pub(super) created_at: DateTime<Utc>,
    /// What it is about, as a header field.
    pub(super) about: (&'static str, Uuid),
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Address,
    pub(super) language: &'a str,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    pub(super) logo: Option<&'a LogoImage>,
    pub(super) trace_id: Option<&'a str>,
}

impl MessageParts<'_> {
    /// Returns the message as it goes over the wire. Everything in it that could differ from one try to the next (identity, date,
    /// boundary) comes from the delivery.
    pub(super) fn assemble(self) -> Result<Vec<u8>, RenderError> {
        let id = self.id;
        let both = MultiPart::alternative()
            .boundary(format!("waitless-{}", id.simple()))
            .singlepart(SinglePart::plain(self.text));
        let html = SinglePart::html(self.html);
        let both = match self.logo {
            None => both.singlepart(html),
            Some(image) => {
                let kind = ContentType::parse(image.media_type).map_err(faulty)?;
                let logo = Attachment::new_inline(LOGO_ID.to_owned()).body(image.bytes.clone(), kind);
                let related = MultiPart::related().boundary(format!("waitless-{}-logo", id.simple()));
                both.multipart(related.singlepart(html).singlepart(logo))
            }
        };
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(self.subject)
            .date(self.created_at.into())
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .raw_header(header("Content-Language", self.language)?)
            // Keeps out-of-office replies away (RFC 3834).
            .raw_header(header("Auto-Submitted", "auto-generated")?)
            .raw_header(header(self.about.0, &self.about.1.to_string())?);
        if let Some(trace_id) = self.trace_id {
            builder = builder.raw_header(header("X-Waitless-Trace", trace_id)?);
        }
        Ok(builder.multipart(both).map_err(faulty)?.formatted())
    }
}

fn header(name: &str, value: &str) -> Result<HeaderValue, RenderError> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(faulty)?;
    Ok(HeaderValue::new(name, value.to_owned()))
}
