//! Composes what is told: the facts, in words, for one recipient. The same whatever channel carries it.

mod advice;
mod brand;
mod content;
mod details;
pub mod facts;
mod lateness;
mod messages;
mod notice;
mod recipient_locale;
mod single_line;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use configuration::{Config, Secrets};
use model::delivery::{Delivery, Notify};
use model::locale::{Conventions, Language, Localizer, time_zone};
use model::schedule::{Notice, OnEmpty};
use url::Url;

use content::LinkBase;
use facts::{Facts, NotificationKind};
use messages::Messages;
use recipient_locale::RecipientLocale;

pub use brand::{Brand, LogoImage};
pub use content::{Content, FailureText, FileLink, MissingFile};
pub use details::Detail;
pub use notice::NoticeContent;
pub(crate) use single_line::single_line;

/// Why a notification cannot be composed. None of it passes by waiting.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The job's files are gone already.
    #[error("the job has no files any more")]
    NoFiles,
    /// There are no texts in the recipient's language.
    #[error("there is no catalogue of messages in {0}")]
    NoCatalogue(Language),
}

/// Composes notifications. Everything it is given is text, and every text it gives is one line without control characters.
#[derive(Debug)]
pub struct Composer {
    catalogues: HashMap<Language, (Messages, Conventions)>,
    brand: Brand,
    tenants: HashMap<String, Brand>,
    public_url: String,
    link_secret: Secrets,
    late_after: Option<Duration>,
}

impl Composer {
    /// Prepares languages and brands.
    ///
    /// # Errors
    /// When a logo cannot be read, or `service.public_url` is no URL.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let public_url = config.service.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
        let catalogues = Language::ALL.into_iter().map(|language| {
            let conventions = Conventions::of(language).with_context(|| format!("locales/{language}.toml"))?;
            Ok((language, (messages::read(language)?, conventions)))
        });
        let tenants = config.tenants.iter().map(|(name, tenant)| Ok((name.clone(), Brand::open(&tenant.brand)?)));
        Ok(Self {
            catalogues: catalogues.collect::<anyhow::Result<_>>()?,
            brand: Brand::open(&config.mail.brand)?,
            tenants: tenants.collect::<anyhow::Result<_>>()?,
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

    /// Composes what a delivery tells. The same facts give the same content.
    ///
    /// # Errors
    /// When there is nothing left to tell of.
    pub fn compose(&self, delivery: &Delivery, facts: &Facts) -> Result<Content<'_>, ComposeError> {
        if facts.kind == NotificationKind::Ready && facts.job.artifacts.is_empty() {
            return Err(ComposeError::NoFiles);
        }
        let locale = self.locale_of(delivery, facts)?;
        let links = LinkBase { public_url: &self.public_url, secrets: &self.link_secret };
        let tells_of_none =
            wish_of(delivery, &facts.job.notify).is_some_and(|wish| wish.on_empty == Some(OnEmpty::Tell));
        let mut content = Content::of(facts, locale, &links, self.late_after);
        if tells_of_none && facts.is_empty_report() {
            content.say_that_it_is_empty();
        }
        Ok(content)
    }

    /// Composes what a notice of a schedule tells. The same notice gives the same content.
    ///
    /// # Errors
    /// When there are no texts in the recipient's language.
    pub fn compose_notice(&self, notice: &Notice) -> Result<NoticeContent<'_>, ComposeError> {
        let locale = self.locale_for(&notice.tenant, Some(&notice.to))?;
        Ok(NoticeContent::of(notice, locale))
    }

    /// Returns how a tenant's notifications look.
    #[must_use]
    pub fn brand(&self, tenant: &str) -> &Brand {
        self.tenants.get(tenant).unwrap_or(&self.brand)
    }

    /// Finds out how the recipient reads: as was asked for them, else as the tenant does.
    fn locale_of(&self, delivery: &Delivery, facts: &Facts) -> Result<RecipientLocale<'_>, ComposeError> {
        self.locale_for(&delivery.tenant, wish_of(delivery, &facts.job.notify))
    }

    fn locale_for(&self, tenant: &str, wish: Option<&Notify>) -> Result<RecipientLocale<'_>, ComposeError> {
        let settings = &self.brand(tenant).settings;
        let asked = wish.and_then(|wish| wish.language.as_deref()).and_then(Language::of_tag);
        let zone = wish.and_then(|wish| wish.time_zone.as_deref()).and_then(time_zone);
        let language = asked.unwrap_or(settings.language);
        let (t, conventions) = self.catalogues.get(&language).ok_or(ComposeError::NoCatalogue(language))?;
        Ok(RecipientLocale { t, localizer: Localizer { conventions, zone: zone.unwrap_or(settings.time_zone) } })
    }
}

/// Finds what was asked for of a delivery's recipient.
#[must_use]
pub fn wish_of<'a>(delivery: &Delivery, notify: &'a [Notify]) -> Option<&'a Notify> {
    notify.iter().find(|wish| wish.channel == delivery.channel && wish.to == delivery.recipient)
}
