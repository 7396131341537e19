//! Composes a mail: the facts, in words, in a template, as a message.

mod advice;
pub mod facts;
mod human;
mod message;
mod recipient;
mod words;

use anyhow::Context as _;
use lettre::message::Mailbox;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};
use shared::config::Config;
use shared::delivery::Delivery;
use shared::event::EventKind;
use url::Url;

use crate::mail::Mail;
use facts::Facts;

/// Why a mail cannot be composed. None of it passes by waiting.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The recipient is not a mail address.
    #[error("the recipient is not a mail address")]
    NotAnAddress,
    /// `mail.allow` does not hold the recipient.
    #[error("mail.allow does not let mail go to this recipient")]
    NotAllowed,
    /// The event is not one that people are told of.
    #[error("nobody is mailed about this event")]
    NotTold,
    /// The job's files are gone already.
    #[error("the job has no files any more")]
    NoFiles,
    /// A template or the message itself is at fault.
    #[error("the mail cannot be written: {0}")]
    Faulty(String),
}

/// Composes mails. Everything it is given is text: nothing of it is ever read as HTML or as a header.
#[derive(Debug)]
pub struct Composer {
    templates: Environment<'static>,
    from: Mailbox,
    allow: Vec<String>,
    public_url: String,
    link_secret: shared::config::Secret,
}

impl Composer {
    /// Prepares templates and the sender's address.
    ///
    /// # Errors
    /// When `mail.from` is not an address such as `Reports <reports@example.com>`.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let from =
            config.mail.from.parse().context("mail.from is not an address like `Reports <reports@example.com>`")?;
        let public_url = config.service.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
        Ok(Self {
            templates: templates()?,
            from,
            allow: config.mail.allow.clone(),
            // Parsed and written again: a URL holds no quote and no angle bracket then, so a link is safe in HTML as it is.
            public_url: Url::parse(&public_url)
                .context("service.public_url is not a URL")?
                .as_str()
                .trim_end_matches('/')
                .to_owned(),
            link_secret: config.service.link_secret.clone(),
        })
    }

    /// Composes the mail of a delivery. The same facts give the same bytes.
    ///
    /// # Errors
    /// When the recipient is no address or not an allowed one.
    pub fn compose(&self, delivery: &Delivery, facts: &Facts) -> Result<Mail, ComposeError> {
        match (delivery.event, facts.job.artifacts.is_empty()) {
            (EventKind::Done, false) | (EventKind::Failed, _) => {}
            (EventKind::Done, true) => return Err(ComposeError::NoFiles),
            _ => return Err(ComposeError::NotTold),
        }
        let to = recipient::check(&delivery.recipient, &self.allow)?;
        let told = words::tell(facts, &self.public_url, self.link_secret.expose());
        let render = |name: String| -> Result<String, ComposeError> {
            let template = self.templates.get_template(&name).map_err(faulty)?;
            template.render(minijinja::value::Serde(&told)).map_err(faulty)
        };
        let name = told.template();
        let (text, html) = (render(format!("{name}.txt.j2"))?, render(format!("{name}.html.j2"))?);
        let message = message::Parts { delivery, from: &self.from, to: &to, subject: told.subject(), text, html };
        let message = message.assemble(facts.trace_id.as_deref())?;
        Ok(Mail { id: delivery.id, from: self.from.email.clone(), to, message })
    }
}

fn faulty(error: impl std::fmt::Display) -> ComposeError {
    ComposeError::Faulty(error.to_string())
}

fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|name| if name.contains(".html") { AutoEscape::Html } else { AutoEscape::None });
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.add_template("layout.html.j2", include_str!("../../templates/layout.html.j2"))?;
    templates.add_template("ready.html.j2", include_str!("../../templates/ready.html.j2"))?;
    templates.add_template("ready.txt.j2", include_str!("../../templates/ready.txt.j2"))?;
    templates.add_template("failed.html.j2", include_str!("../../templates/failed.html.j2"))?;
    templates.add_template("failed.txt.j2", include_str!("../../templates/failed.txt.j2"))?;
    Ok(templates)
}
