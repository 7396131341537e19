//! Says to Kubernetes how dear this pod is, so that a step down takes one that has little to lose.
//!
//! A ReplicaSet that is to have fewer pods takes those with the lowest `controller.kubernetes.io/pod-deletion-cost` first. The worker keeps
//! that annotation of its own pod current, where it was told the pod's name. Jobs never wait for it and never hear of it: whatever the API
//! does, the annotation is only old then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use model::backoff::Backoff;
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::worker::Worker;

const ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// An API server that takes longer is asked again later.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Pauses after an answer that was not what it should be.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Keeps the annotation current until aborted; ends at once where no pod is named.
pub(crate) async fn keep_pod_cost_current(worker: Arc<Worker>) {
    let every = worker.settings.pod_cost_every;
    let Some(pod) = &worker.settings.pod else { return };
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A container that was started again in its pod finds what the former one said.
    let mut told = None;
    let mut backoff = Backoff::new(every * 2, LONGEST_PAUSE.max(every * 2));
    let mut in_vain = false;
    loop {
        looks.tick().await;
        let cost = cost(worker.attempts.all().iter().map(|attempt| attempt.since.elapsed()), every);
        if told == Some(cost) {
            continue;
        }
        match tell(&worker.settings, pod, cost).await {
            Ok(()) => {
                tracing::debug!(cost, "the pod's deletion cost is current");
                (told, in_vain) = (Some(cost), false);
                backoff.reset();
            }
            Err(error) => {
                if !std::mem::replace(&mut in_vain, true) {
                    tracing::warn!(
                        pod,
                        error = format!("{error:#}"),
                        "the pod's deletion cost could not be told; trying on"
                    );
                }
                looks.reset_at(Instant::now() + backoff.pause());
            }
        }
    }
}

/// Returns 0 for a worker that loses nothing worth a word, and one more for each time that what it would lose doubles: so the API hears of
/// a job of four hours a dozen times, and of short ones never.
fn cost(running: impl Iterator<Item = Duration>, short: Duration) -> u32 {
    let lost: Duration = running.sum();
    let times = lost.as_millis() / short.as_millis().max(1);
    times.checked_ilog2().map_or(0, |doublings| doublings + 1)
}

/// Changes the annotation. Token and certificates are read each time: Kubernetes renews them.
async fn tell(settings: &configuration::Worker, pod: &str, cost: u32) -> anyhow::Result<()> {
    let account = &settings.kubernetes_account;
    let (token, namespace) = (read(account, "token")?, read(account, "namespace")?);
    let authorities = std::fs::read(account.join("ca.crt")).context("read the certificate of the Kubernetes API")?;
    let authorities = reqwest::Certificate::from_pem_bundle(&authorities).context("read that certificate")?;
    let client = reqwest::Client::builder()
        .tls_certs_only(authorities)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        .build()
        .context("prepare to ask the Kubernetes API")?;
    let url = settings.kubernetes_url.as_deref().context("worker.kubernetes_url is empty")?;
    let patch = json!({"metadata": {"annotations": {ANNOTATION: cost.to_string()}}});
    let request = client.patch(format!("{url}/api/v1/namespaces/{namespace}/pods/{pod}")).bearer_auth(token);
    let request = request.header("content-type", "application/merge-patch+json").body(patch.to_string());
    let status = request.send().await.context("ask the Kubernetes API")?.status();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::FORBIDDEN => {
            anyhow::bail!("the service account may not `patch` `pods`: give it a Role that lets it")
        }
        StatusCode::NOT_FOUND => {
            anyhow::bail!("there is no pod {pod} in the namespace {namespace}: set worker.pod to its own name")
        }
        status => anyhow::bail!("the Kubernetes API answered {status}"),
    }
}

fn read(folder: &Path, name: &str) -> anyhow::Result<String> {
    let file = folder.join(name);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("read {}: is the service account's token mounted?", file.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_worker_is_the_cheapest_and_each_doubling_of_what_would_be_lost_counts_one() {
        let of = |seconds: &[u64]| cost(seconds.iter().copied().map(Duration::from_secs), Duration::from_secs(10));
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[3, 4]), 0, "what ends in a moment");
        assert_eq!(of(&[10]), 1);
        assert_eq!(of(&[7, 7]), 1);
        assert_eq!(of(&[20]), 2);
        assert_eq!(of(&[39]), 2);
        assert_eq!(of(&[40]), 3);
        assert_eq!(of(&[4 * 3_600]), 11);
    }
}
