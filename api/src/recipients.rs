//! To whom jobs may have something sent: what the service lets go out, and what a token keeps its holder to.

use std::collections::{BTreeSet, HashMap};

use configuration::{Config, EVERY_TENANT};
use model::delivery::Channel;
use model::recipient::{RecipientError, webhook_rule};

/// What the configuration lets go out.
#[derive(Debug)]
pub struct ServiceRecipients {
    /// `mail.allow`
    mail: Vec<String>,
    /// Rules of webhooks that every tenant may tell.
    webhooks: Vec<String>,
    /// Rules of webhooks, by tenant that one names.
    webhooks_of: HashMap<String, Vec<String>>,
}

impl ServiceRecipients {
    /// Reads them.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let rules_of = |tenant: &str| {
            let those = config.webhooks.iter().filter(|(_, webhook)| webhook.is_for(tenant));
            those.map(|(name, _)| webhook_rule(name)).collect::<Vec<_>>()
        };
        let named: BTreeSet<&String> = config.webhooks.values().flat_map(|webhook| &webhook.tenants).collect();
        let webhooks_of = named.into_iter().map(|tenant| (tenant.clone(), rules_of(tenant))).collect();
        Self { mail: config.mail.allow.clone(), webhooks: rules_of(EVERY_TENANT), webhooks_of }
    }

    fn of(&self, channel: Channel, tenant: &str) -> &[String] {
        match channel {
            Channel::Email => &self.mail,
            Channel::Webhook => self.webhooks_of.get(tenant).unwrap_or(&self.webhooks),
        }
    }
}

/// What says to whom somebody's jobs may have something sent.
#[derive(Debug, Clone, Copy)]
pub struct RecipientRules<'a> {
    pub(crate) service: &'a ServiceRecipients,
    pub(crate) tenant: &'a str,
    /// Of the token that somebody came with.
    pub(crate) token: Option<&'a [String]>,
}

impl RecipientRules<'_> {
    /// Checks a recipient by all of them.
    ///
    /// # Errors
    /// Says whether it is none, or may not be told.
    pub fn check(&self, channel: Channel, to: &str) -> Result<(), RecipientError> {
        channel.check_recipient(to, self.service.of(channel, self.tenant))?;
        self.token.map_or(Ok(()), |token| channel.check_recipient(to, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_tells_the_webhooks_that_name_it_and_those_of_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let webhook = |name: &str, tenants: &str| {
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            format!(
                "[webhooks.{name}]\nurl = \"https://{name}.example.com\"\nsecrets = [\"{secret}\"]\ntenants = {tenants}\n"
            )
        };
        let text = [webhook("erp", "[\"acme\"]"), webhook("wms", "[\"acme\", \"globex\"]"), webhook("bus", "[\"*\"]")];
        std::fs::write(file.path(), text.concat()).unwrap();
        let service = ServiceRecipients::new(&Config::from_layers(Some(file.path()), std::iter::empty()).unwrap());
        let told = |tenant: &str, token: Option<&[String]>| {
            let rules = RecipientRules { service: &service, tenant, token };
            ["erp", "wms", "bus", "none"].map(|name| rules.check(Channel::Webhook, name).is_ok())
        };
        assert_eq!(told("acme", None), [true, true, true, false]);
        assert_eq!(told("globex", None), [false, true, true, false]);
        assert_eq!(told("initech", None), [false, false, true, false]);
        assert_eq!(
            told("acme", Some(&["webhook:wms".to_owned(), "@example.com".to_owned()])),
            [false, true, false, false]
        );
        assert_eq!(told("acme", Some(&["@example.com".to_owned()])), [false; 4]);
    }
}
