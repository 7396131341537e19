//! What `waitless doctor` finds of an identity provider.

use configuration::Issuer;
use model::finding::Findings;

use super::fetch::client;
use super::provider::ask;

/// Reaches a provider and looks at what it publishes.
pub async fn diagnose(settings: &Issuer, findings: &mut Findings) {
    let asked = match client(settings) {
        Ok(client) => ask(&client, settings).await,
        Err(error) => Err(error),
    };
    let (discovery, keys) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "see whether this machine reaches the provider, and compare issuer, ca_file and allow_http with what it publishes";
            findings.fail(format!("{error:#}"), advice);
            return;
        }
    };
    findings.ok(format!("{} answers, with {} keys that sign tokens", settings.issuer, keys.len()));
    if settings.client_id.is_some()
        && (discovery.authorization_endpoint.is_none() || discovery.token_endpoint.is_none())
    {
        let what = "nobody can sign in to the console there: it has no authorization_endpoint or token_endpoint";
        findings.fail(what, "leave client_id out, or use a provider that people sign in at");
    }
}
