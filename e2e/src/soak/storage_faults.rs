//! What happens to the bucket, and on the way to it.

use std::time::Duration;

use testing::proxy::Proxy;
use testing::s3::{Fault, Operation, S3};

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;

/// What may go wrong with some requests.
const FAULTS: [Fault; 5] = [Fault::Answer(500), Fault::Answer(503), Fault::LoseAnswer, Fault::Truncate, Fault::Silence];
const OPERATIONS: [Operation; 5] = [Operation::Any, Operation::Put, Operation::Get, Operation::Head, Operation::Delete];

/// Lets one fault come after the other until the storm is over; then the bucket is there. A folder has its faults elsewhere.
pub(super) async fn blow(plan: &Plan, storage: &Option<(S3, Proxy)>, tally: &Tally) -> anyhow::Result<()> {
    let Some((server, proxy)) = storage else { return Ok(()) };
    let mut dice = plan.dice("storage");
    while !tally.is_over() {
        pause(tally, dice.millis(4_000..16_000)).await;
        let time = dice.millis(2_000..12_000);
        match dice.number(0..100) {
            0..20 => through(proxy, "storage away", time, tally, Proxy::refuse).await,
            20..35 => through(proxy, "storage silent", time, tally, Proxy::hold).await,
            35..50 => {
                let rate = u32::try_from(dice.number(20_000..200_000))?;
                through(proxy, "storage slow", time, tally, |proxy| proxy.throttle(rate)).await;
            }
            50..65 => {
                let delay = dice.millis(100..1_500);
                through(proxy, "storage far", time, tally, |proxy| proxy.delay(delay)).await;
            }
            65..80 => {
                through(proxy, "storage's answers lost", time.min(Duration::from_secs(4)), tally, Proxy::hold_answers)
                    .await;
            }
            _ => fail_some(server, &mut dice, tally).await,
        }
    }
    server.heal();
    Ok(())
}

/// Mistreats connections for a time. What was held is lost.
async fn through(proxy: &Proxy, fault: &'static str, time: Duration, tally: &Tally, how: impl Fn(&Proxy)) {
    let _now = tally.begin(fault);
    how(proxy);
    pause(tally, time).await;
    proxy.reset();
    proxy.heal();
}

/// Lets some requests fail; those that did not come in time are spared.
async fn fail_some(server: &S3, dice: &mut Dice, tally: &Tally) {
    let _now = tally.begin("storage's requests fail");
    let (operation, fault) = (dice.one_of(&OPERATIONS), dice.one_of(&FAULTS));
    server.fail_next(dice.number(1..12), operation, fault);
    pause(tally, dice.millis(2_000..6_000)).await;
    server.heal();
}
