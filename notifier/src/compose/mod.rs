//! Composes a mail: the facts, in words, in a template, as a message.

mod advice;
mod brand;
pub mod facts;
mod human;
mod lateness;
mod message;
mod messages;
mod recipient;
mod words;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use configuration::{Config, Secret};
use lettre::message::Mailbox;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};
use model::delivery::Delivery;
use model::locale::{Conventions, Language, Writer, time_zone};
use url::Url;

use crate::mail::Mail;
use brand::Brand;
use facts::{Facts, News};
use human::Human;
use messages::Messages;
use words::Links;

/// Why a mail cannot be composed. None of it passes by waiting.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The recipient is not a mail address.
    #[error("the recipient is not a mail address")]
    NotAnAddress,
    /// `mail.allow` does not hold the recipient.
    #[error("mail.allow does not let mail go to this recipient")]
    NotAllowed,
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
    messages: HashMap<Language, (Messages, Conventions)>,
    brand: Brand,
    tenants: HashMap<String, Brand>,
    from: Mailbox,
    allow: Vec<String>,
    public_url: String,
    link_secret: Secret,
    late_after: Option<Duration>,
}

impl Composer {
    /// Prepares templates, languages, brands and the sender's address.
    ///
    /// # Errors
    /// When `mail.from` is not an address such as `Reports <reports@example.com>`, or a logo cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let from =
            config.mail.from.parse().context("mail.from is not an address like `Reports <reports@example.com>`")?;
        let public_url = config.service.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
        let messages = Language::ALL.into_iter().map(|language| {
            let conventions = Conventions::of(language).with_context(|| format!("locales/{language}.toml"))?;
            Ok((language, (messages::read(language)?, conventions)))
        });
        let tenants = config.tenants.iter().map(|(name, brand)| Ok((name.clone(), Brand::open(brand)?)));
        Ok(Self {
            templates: templates()?,
            messages: messages.collect::<anyhow::Result<_>>()?,
            brand: Brand::open(&config.mail.brand)?,
            tenants: tenants.collect::<anyhow::Result<_>>()?,
            from,
            allow: config.mail.allow.clone(),
            // Parsed and written again: a URL holds no quote and no angle bracket then, so a link is safe in HTML as it is.
            public_url: Url::parse(&public_url)
                .context("service.public_url is not a URL")?
                .as_str()
                .trim_end_matches('/')
                .to_owned(),
            link_secret: config.service.link_secret.clone(),
            late_after: config.mail.late_after,
        })
    }

    /// Composes the mail of a delivery. The same facts give the same bytes.
    ///
    /// # Errors
    /// When the recipient is no address or not an allowed one.
    pub fn compose(&self, delivery: &Delivery, facts: &Facts) -> Result<Mail, ComposeError> {
        if facts.news == News::Ready && facts.job.artifacts.is_empty() {
            return Err(ComposeError::NoFiles);
        }
        let to = recipient::check(&delivery.recipient, &self.allow)?;
        let brand = self.tenants.get(&delivery.tenant).unwrap_or(&self.brand);
        let human = self.reader(delivery, facts, brand)?;
        let links = Links { public_url: &self.public_url, secret: self.link_secret.expose() };
        let told = words::tell(facts, brand.look(), human, &links, self.late_after);
        let render = |name: String| -> Result<String, ComposeError> {
            let template = self.templates.get_template(&name).map_err(faulty)?;
            template.render(minijinja::value::Serde(&told)).map_err(faulty)
        };
        let name = told.template();
        let (text, html) = (render(format!("{name}.txt.j2"))?, render(format!("{name}.html.j2"))?);
        let (language, picture) = (human.t.lang.as_str(), brand.picture.as_ref());
        let from = &self.from;
        let parts = message::Parts { delivery, from, to: &to, language, subject: told.subject(), text, html, picture };
        let message = parts.assemble(facts.trace_id.as_deref())?;
        Ok(Mail { id: delivery.id, from: self.from.email.clone(), to, message })
    }

    /// Finds out how the reader writes: as was asked for them, else as the tenant does.
    fn reader(&self, delivery: &Delivery, facts: &Facts, brand: &Brand) -> Result<Human<'_>, ComposeError> {
        let mut wishes = facts.job.notify.iter();
        let wish = wishes.find(|wish| wish.channel == delivery.channel && wish.to == delivery.recipient);
        let asked = wish.and_then(|wish| wish.language.as_deref()).and_then(Language::of_tag);
        let zone = wish.and_then(|wish| wish.time_zone.as_deref()).and_then(time_zone);
        let read = self.messages.get(&asked.unwrap_or(brand.settings.language));
        let (t, conventions) = read.ok_or_else(|| faulty("there is no catalogue of messages"))?;
        Ok(Human { t, writer: Writer { conventions, zone: zone.unwrap_or(brand.settings.time_zone) } })
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
    templates.add_template("facts.html.j2", include_str!("../../templates/facts.html.j2"))?;
    templates.add_template("ready.html.j2", include_str!("../../templates/ready.html.j2"))?;
    templates.add_template("ready.txt.j2", include_str!("../../templates/ready.txt.j2"))?;
    templates.add_template("failed.html.j2", include_str!("../../templates/failed.html.j2"))?;
    templates.add_template("failed.txt.j2", include_str!("../../templates/failed.txt.j2"))?;
    templates.add_template("late.html.j2", include_str!("../../templates/late.html.j2"))?;
    templates.add_template("late.txt.j2", include_str!("../../templates/late.txt.j2"))?;
    Ok(templates)
}
