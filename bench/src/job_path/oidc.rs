//! What an identity provider's tokens cost: one check, and submits with tokens against submits with a key.

use std::time::Instant;

use api::auth::oidc::Issuers;
use configuration::Config;
use serde_json::json;

use crate::figures::{median, percentile, print, say};
use crate::load;
use crate::stack::Stack;

const CONNECTIONS: usize = 32;
const SUBMITS: usize = 12_000;
const ROUNDS: usize = 7;

/// Checks of one token, and of tokens that were never seen.
const CHECKS: usize = 200_000;
const FIRST_CHECKS: usize = 2_000;

/// Alternates keys and tokens, so that both see the same machine.
pub(crate) async fn measure(stack: &Stack) -> anyhow::Result<()> {
    measure_checks(stack).await?;
    let (by_key, by_token) = (stack.submit("trivial")?, stack.submit_with_token("trivial")?);
    load::flood(&by_key, CONNECTIONS, 2_000).await?;
    load::flood(&by_token, CONNECTIONS, 2_000).await?;
    let (mut keys, mut tokens, mut ratios, mut p99) = (vec![], vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        say(&format!("submits by tokens and by a key, round {round} of {ROUNDS}"));
        stack.clear().await?;
        let one = load::flood(&by_key, CONNECTIONS, SUBMITS).await?;
        stack.clear().await?;
        let other = load::flood(&by_token, CONNECTIONS, SUBMITS).await?;
        p99.push(percentile(&other.latencies, 0.99));
        ratios.push(other.rate() / one.rate());
        keys.push(one.rate());
        tokens.push(other.rate());
    }
    print("oidc_submits_per_s", median(&tokens), "1/s");
    print("oidc_submit_flood_p99_ms", median(&p99), "ms");
    print("oidc_key_submits_per_s", median(&keys), "1/s");
    print("oidc_submit_ratio_key", median(&ratios), "x");
    stack.clear().await
}

/// One after the other on one thread, which does nothing else meanwhile: what passes is processor time, and what else the machine does.
async fn measure_checks(stack: &Stack) -> anyhow::Result<()> {
    let mut config = Config::embedded(stack.folder())?;
    config.oidc.insert("bench".to_owned(), serde_json::from_value(stack.issuer())?);
    let issuers = Issuers::new(&config)?;
    let token = stack.token("bench");
    let check = async |token: &str| issuers.read(token).await.map_err(|error| anyhow::anyhow!("{error}"));
    check(&token).await?;
    let (mut warm, mut first) = (vec![], vec![]);
    for round in 1..=ROUNDS {
        say(&format!("checks of tokens, round {round} of {ROUNDS}"));
        let began = Instant::now();
        for _ in 0..CHECKS / ROUNDS {
            check(&token).await?;
        }
        warm.push(micros(began, CHECKS / ROUNDS));
        let unseen: Vec<String> =
            (0..FIRST_CHECKS / ROUNDS).map(|one| stack.token(&format!("{round}-{one}"))).collect();
        let began = Instant::now();
        for token in &unseen {
            check(token).await?;
        }
        first.push(micros(began, unseen.len()));
    }
    print("oidc_check_us", median(&warm), "us");
    print("oidc_first_check_us", median(&first), "us");
    print("oidc_token_bytes", f64::from(u32::try_from(json!(token).to_string().len())?), "B");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn micros(began: Instant, count: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / count as f64
}
