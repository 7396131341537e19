//! The endpoint of webhooks in bad moods.

use testing::webhook_endpoint::{EndpointBehaviour, WebhookEndpoint};

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;

/// Lets one mood follow the other until the storm is over; then the endpoint takes everything.
pub(super) async fn blow(plan: &Plan, endpoint: &WebhookEndpoint, tally: &Tally) -> anyhow::Result<()> {
    let mut dice = plan.dice("endpoint");
    while !tally.is_over() {
        pause(tally, dice.millis(3_000..15_000)).await;
        let (name, behaviour) = mood(&mut dice);
        let _now = tally.begin(name);
        endpoint.always_behave(Some(behaviour));
        pause(tally, dice.millis(500..4_000)).await;
        endpoint.always_behave(None);
    }
    Ok(())
}

fn mood(dice: &mut Dice) -> (&'static str, EndpointBehaviour) {
    match dice.number(0..4) {
        0 => ("requests refused with 503", EndpointBehaviour::status(503)),
        1 => ("requests taken without an answer", EndpointBehaviour::TakeThenClose),
        2 => ("answers to requests cut", EndpointBehaviour::CutInAnswer(200)),
        _ => ("endpoint silent", EndpointBehaviour::Silence),
    }
}
