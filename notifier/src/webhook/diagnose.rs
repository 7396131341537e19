//! What `waitless doctor` tries of a webhook: everything up to a request that tells something.

use configuration::Config;
use model::finding::Findings;

use super::endpoint::Endpoint;

/// Looks whether the endpoint of this name answers, and notes how it went. Tells it nothing.
pub async fn diagnose_endpoint(config: &Config, name: &str, findings: &mut Findings) {
    let Some(settings) = config.webhooks.get(name) else { return };
    let endpoint = match Endpoint::open(name, settings) {
        Ok(endpoint) => endpoint,
        Err(error) => return findings.fail(format!("{error:#}"), format!("correct [webhooks.{name}]")),
    };
    match endpoint.look().await {
        Ok(()) => findings.ok(format!("it answers; {} secrets sign", settings.secrets.len())),
        Err(why) => {
            let advice = if why.contains("certificate") {
                "name the authority of its certificate in ca_file"
            } else if why.contains("public internet") {
                "set allow_private = true if an endpoint in a network of your own is meant"
            } else {
                "see that it runs and can be reached from here; deliveries wait for up to three days"
            };
            findings.fail(format!("it cannot be reached: {why}"), advice);
        }
    }
}
