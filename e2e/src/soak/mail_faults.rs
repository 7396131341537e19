//! The mail server in bad moods, and away.

use std::time::Duration;

use testing::proxy::Proxy;
use testing::smtp::{Behaviour, Smtp};

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;

/// Lets one mood follow the other until the storm is over; then the server is well.
pub(super) async fn blow(plan: &Plan, server: &Smtp, proxy: &Proxy, tally: &Tally) -> anyhow::Result<()> {
    let mut dice = plan.dice("mail");
    while !tally.is_over() {
        pause(tally, dice.millis(2_000..12_000)).await;
        let time = dice.millis(1_500..8_000);
        if dice.percent(25) {
            let _now = tally.begin("mail server away");
            if dice.percent(50) {
                proxy.refuse();
            } else {
                proxy.hold();
            }
            pause(tally, time).await;
            proxy.reset();
            proxy.heal();
            continue;
        }
        let (name, behaviour) = mood(&mut dice);
        let _now = tally.begin(name);
        server.always_behave(behaviour);
        pause(tally, time).await;
        server.behave_well();
    }
    Ok(())
}

fn mood(dice: &mut Dice) -> (&'static str, Behaviour) {
    match dice.number(0..8) {
        0 => ("mails deferred", Behaviour::Answer(450)),
        1 => ("mails refused with 421", Behaviour::Answer(421)),
        2 => ("mails deferred after their content", Behaviour::AnswerData(451)),
        3 => ("mail server silent", Behaviour::Silence),
        4 => ("mails taken without an answer", Behaviour::TakeThenClose),
        5 => ("mails lost without an answer", Behaviour::LoseThenClose),
        6 => ("sender over quota", Behaviour::RefuseSender("452 4.2.2 quota exceeded, try later".to_owned())),
        _ => ("mails taken slowly", Behaviour::Slow(Duration::from_millis(2_500))),
    }
}
