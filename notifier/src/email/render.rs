//! Renders the content of a notification as a mail: in templates, then as a message.

use configuration::Logo;
use lettre::message::Mailbox;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::message::MessageParts;
use super::{OutgoingMail, recipient};
use crate::channel::{DeliveryAttempt, NoticeAttempt, SendError};
use crate::compose::Brand;
use crate::compose::facts::NotificationKind;

/// The address of a logo that travels with the mail.
pub(super) const LOGO_ID: &str = "logo@waitless";

const SANS: &str = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,'PingFang SC','Microsoft YaHei',\
                    'Noto Sans CJK SC',sans-serif";
const SERIF: &str = "'Iowan Old Style','Palatino Linotype',Palatino,Georgia,'Times New Roman',serif";

/// Why a notification cannot become a mail. None of it passes by waiting.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The recipient is not a mail address.
    #[error("the recipient is not a mail address")]
    NotAnAddress,
    /// `mail.allow` does not hold the recipient.
    #[error("mail.allow does not let mail go to this recipient")]
    NotAllowed,
    /// A template or the message itself is at fault.
    #[error("the mail cannot be written: {0}")]
    Faulty(String),
}

impl From<RenderError> for SendError {
    fn from(error: RenderError) -> Self {
        Self::Rejected(error.to_string())
    }
}

/// What the templates are given.
#[derive(Debug, Serialize)]
struct TemplateValues<'a, C> {
    #[serde(flatten)]
    content: &'a C,
    brand: BrandStyle,
    fonts: FontStacks,
}

/// What templates see of a brand.
#[derive(Debug, Serialize)]
struct BrandStyle {
    name: String,
    color: String,
    color_in_the_dark: String,
    logo: Option<String>,
}

impl BrandStyle {
    fn of(brand: &Brand) -> Self {
        let settings = &brand.settings;
        Self {
            name: settings.name.clone(),
            color: settings.color.to_string(),
            color_in_the_dark: settings.color.in_the_dark().to_string(),
            logo: settings.logo.as_ref().map(|logo| match logo {
                Logo::Address(address) => address.clone(),
                Logo::File(_) => format!("cid:{LOGO_ID}"),
            }),
        }
    }
}

/// Fonts that readers' machines have.
#[derive(Debug, Serialize)]
struct FontStacks {
    sans: &'static str,
    serif: &'static str,
}

impl FontStacks {
    /// Chinese print of this size is set without serifs.
    fn of(language: &str) -> Self {
        Self { sans: SANS, serif: if language.starts_with("zh") { SANS } else { SERIF } }
    }
}

/// Renders mails. Nothing of the content is ever read as HTML or as a header.
#[derive(Debug)]
pub struct Renderer {
    templates: Environment<'static>,
    from: Mailbox,
    allow: Vec<String>,
}

impl Renderer {
    /// Prepares templates and the sender's address.
    ///
    /// # Errors
    /// When `mail.from` is not an address such as `Reports <reports@example.com>`.
    pub fn new(config: &configuration::Mail) -> anyhow::Result<Self> {
        let from = config.from.parse();
        let from = anyhow::Context::context(from, "mail.from is not an address like `Reports <reports@example.com>`")?;
        Ok(Self { templates: templates()?, from, allow: config.allow.clone() })
    }

    /// Renders the mail of an attempt. The same delivery and content give the same bytes.
    ///
    /// # Errors
    /// When the recipient is no address or not an allowed one.
    pub fn render(&self, attempt: DeliveryAttempt<'_>) -> Result<OutgoingMail, RenderError> {
        let DeliveryAttempt { delivery, facts, content, brand } = attempt;
        let to = recipient::check(&delivery.recipient, &self.allow)?;
        let language = content.language();
        let values = TemplateValues { content, brand: BrandStyle::of(brand), fonts: FontStacks::of(language) };
        let render = |name: String| self.fill(&name, &values);
        let name = template_of(&facts.kind);
        let parts = MessageParts {
            id: attempt.idempotency_id(),
            created_at: delivery.created_at,
            about: ("X-Waitless-Job", delivery.job_id),
            from: &self.from,
            to: &to,
            language,
            subject: content.subject.clone(),
            text: render(format!("{name}.txt.j2"))?,
            html: render(format!("{name}.html.j2"))?,
            logo: brand.logo_image.as_ref(),
            trace_id: facts.trace_id.as_deref(),
        };
        let message = parts.assemble()?;
        Ok(OutgoingMail { id: attempt.idempotency_id(), from: self.from.email.clone(), to, message })
    }
}

impl Renderer {
    /// Renders the mail of a notice. The same notice gives the same bytes.
    ///
    /// # Errors
    /// When the recipient is no address or not an allowed one.
    pub fn render_notice(&self, attempt: NoticeAttempt<'_>) -> Result<OutgoingMail, RenderError> {
        let NoticeAttempt { notice, content, brand } = attempt;
        let to = recipient::check(&notice.to.to, &self.allow)?;
        let language = content.language();
        let values = TemplateValues { content, brand: BrandStyle::of(brand), fonts: FontStacks::of(language) };
        let parts = MessageParts {
            id: notice.id,
            created_at: notice.created_at,
            about: ("X-Waitless-Schedule", notice.schedule_id),
            from: &self.from,
            to: &to,
            language,
            subject: content.subject.clone(),
            text: self.fill("notice.txt.j2", &values)?,
            html: self.fill("notice.html.j2", &values)?,
            logo: brand.logo_image.as_ref(),
            trace_id: None,
        };
        Ok(OutgoingMail { id: notice.id, from: self.from.email.clone(), message: parts.assemble()?, to })
    }

    fn fill(&self, name: &str, values: &impl Serialize) -> Result<String, RenderError> {
        let template = self.templates.get_template(name).map_err(faulty)?;
        template.render(minijinja::value::Serde(values)).map_err(faulty)
    }
}

pub(super) fn faulty(error: impl std::fmt::Display) -> RenderError {
    RenderError::Faulty(error.to_string())
}

const fn template_of(kind: &NotificationKind) -> &'static str {
    match kind {
        NotificationKind::Ready => "ready",
        NotificationKind::Failed(_) => "failed",
        NotificationKind::Late(..) => "late",
    }
}

fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|name| if name.contains(".html") { AutoEscape::Html } else { AutoEscape::None });
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.add_template("layout.html.j2", include_str!("templates/layout.html.j2"))?;
    templates.add_template("details.html.j2", include_str!("templates/details.html.j2"))?;
    templates.add_template("ready.html.j2", include_str!("templates/ready.html.j2"))?;
    templates.add_template("ready.txt.j2", include_str!("templates/ready.txt.j2"))?;
    templates.add_template("failed.html.j2", include_str!("templates/failed.html.j2"))?;
    templates.add_template("failed.txt.j2", include_str!("templates/failed.txt.j2"))?;
    templates.add_template("late.html.j2", include_str!("templates/late.html.j2"))?;
    templates.add_template("late.txt.j2", include_str!("templates/late.txt.j2"))?;
    templates.add_template("notice.html.j2", include_str!("templates/notice.html.j2"))?;
    templates.add_template("notice.txt.j2", include_str!("templates/notice.txt.j2"))?;
    Ok(templates)
}
