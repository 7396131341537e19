//! The pages behind links, in the language that the reader's browser asks for.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;
use anyhow::Context as _;
use configuration::{Brand, Config};
use minijinja::value::Kwargs;
use minijinja::{Environment, HtmlEscape, Value};
use model::locale::{Conventions, Language, Localizer, fill};

use super::texts::{self, LinkTexts};
use crate::console::root_of;

/// Templates and languages, and which of these a tenant's readers have who ask for none.
#[derive(Debug)]
pub struct LinkPages {
    templates: Environment<'static>,
    english: Localization,
    others: Vec<Localization>,
    brand: Brand,
    tenants: HashMap<String, Brand>,
}

/// One language.
#[derive(Debug)]
struct Localization {
    language: Language,
    texts: LinkTexts,
    conventions: Conventions,
}

/// Writes pages for one reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageWriter<'a> {
    pub(super) templates: &'a Environment<'static>,
    pub(super) language: Language,
    pub(super) texts: &'a LinkTexts,
    pub(super) localizer: Localizer<'a>,
    /// The way from the page's address to the root of the service.
    pub(super) root: &'static str,
}

impl Localization {
    fn read(language: Language) -> anyhow::Result<Self> {
        let conventions = Conventions::of(language).with_context(|| format!("locales/{language}.toml"))?;
        Ok(Self { language, texts: texts::read(language)?, conventions })
    }
}

impl LinkPages {
    /// Reads templates and catalogues.
    ///
    /// # Errors
    /// When one is not as it should be; a test reads each.
    pub fn read(config: &Config) -> anyhow::Result<Self> {
        let others = Language::ALL.into_iter().filter(|language| *language != Language::En).map(Localization::read);
        Ok(Self {
            templates: read_templates().context("read the templates of the pages of links")?,
            english: Localization::read(Language::En)?,
            others: others.collect::<anyhow::Result<_>>()?,
            brand: config.mail.brand.clone(),
            tenants: config.tenants.iter().map(|(name, tenant)| (name.clone(), tenant.brand.clone())).collect(),
        })
    }

    /// Writes as the reader's browser asks for, else as the tenant's mails do; by the tenant's clock, until the browser's script
    /// puts its own in place.
    pub(crate) fn for_reader(&self, request: &HttpRequest, tenant: Option<&str>) -> PageWriter<'_> {
        let brand = tenant.and_then(|tenant| self.tenants.get(tenant)).unwrap_or(&self.brand);
        let asked = request.headers().get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
        let language = asked.and_then(Language::accepted).unwrap_or(brand.language);
        let localization = self.others.iter().find(|one| one.language == language).unwrap_or(&self.english);
        PageWriter {
            templates: &self.templates,
            language: localization.language,
            texts: &localization.texts,
            localizer: Localizer { conventions: &localization.conventions, zone: brand.time_zone },
            root: root_of(request),
        }
    }
}

/// Lists templates with their text, by their name under `api/templates/link`.
macro_rules! templates {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("../../templates/link/", $name)))),+] };
}

const TEMPLATES: [(&str, &str); 9] = templates![
    "layout.html.j2",
    "macros.html.j2",
    "show.html.j2",
    "refused.html.j2",
    "expired.html.j2",
    "sign_in.html.j2",
    "making.html.j2",
    "failed.html.j2",
    "service_status.html.j2",
];

pub(super) fn read_templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    templates.add_filter("fill", fill_html);
    for (name, text) in TEMPLATES {
        templates.add_template(name, text)?;
    }
    Ok(templates)
}

/// Puts values in the places of `{name}`. Text stays text, also in the values, unless these are HTML that a template made.
#[expect(clippy::needless_pass_by_value, reason = "the template engine passes arguments so")]
fn fill_html(text: &str, values: Kwargs) -> Result<Value, minijinja::Error> {
    let html = |name| {
        let value: Value = values.get(name)?;
        let text = value.to_string();
        Ok((name, if value.is_safe() { text } else { HtmlEscape(&text).to_string() }))
    };
    let values: Vec<(&str, String)> = values.args().map(html).collect::<Result<_, minijinja::Error>>()?;
    let values: Vec<(&str, &str)> = values.iter().map(|(name, html)| (*name, html.as_str())).collect();
    Ok(Value::from_safe_string(fill(&HtmlEscape(text).to_string(), &values)))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn what_comes_from_elsewhere_stays_text() {
        let mut templates = read_templates().unwrap();
        templates
            .add_template("filled", "{% set bold %}<b>{{ name }}</b>{% endset %}{{ text | fill(n=name, b=bold) }}")
            .unwrap();
        let context = context! { text => "<{n}> & {b}", name => "\"a\"" };
        let html = templates.get_template("filled").unwrap().render(context).unwrap();
        assert_eq!(html, "&lt;&quot;a&quot;&gt; &amp; <b>&quot;a&quot;</b>");
    }
}
