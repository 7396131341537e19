//! What happens to RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use model::job::Lane;
use model::message::{Message, OutboxMessage, Queue, Route};
use testing::rabbitmq::Server;
use uuid::Uuid;

use super::pause;
use super::plan::{Dice, Plan};
use super::tally::Tally;

/// How often a server that does not come up is tried.
const STARTS: usize = 4;
/// More than any disk has: publishers are blocked as on a disk that is full.
const NO_DISK: &str = "900000GB";
/// What the server starts with.
const SOME_DISK: &str = "50MB";

/// Lets one fault come after the other until the storm is over; then the broker runs.
pub(super) async fn blow(
    plan: &Plan,
    server: &mut Server,
    settings: &configuration::Broker,
    jobs: impl Fn() -> Vec<Uuid>,
    tally: &Tally,
) -> anyhow::Result<()> {
    let mut dice = plan.dice("broker");
    while !tally.is_over() {
        pause(tally, dice.millis(3_000..15_000)).await;
        match dice.number(0..100) {
            0..14 => {
                let _now = tally.begin("broker stopped");
                server.stop().await?;
                pause(tally, dice.millis(0..8_000)).await;
                start(server, tally).await?;
            }
            14..28 => {
                let _now = tally.begin("broker killed");
                server.kill();
                pause(tally, dice.millis(0..5_000)).await;
                start(server, tally).await?;
            }
            28..40 => {
                let _now = tally.begin("broker frozen");
                server.freeze()?;
                pause(tally, dice.millis(1_000..14_000)).await;
                server.thaw()?;
            }
            40..47 => {
                let _now = tally.begin("broker wiped");
                if server.wipe().await.is_err() {
                    start(server, tally).await?;
                }
            }
            47..60 => ctl(tally, "queue purged", server, &["purge_queue", &any_queue(&mut dice)]).await,
            60..70 => ctl(tally, "queue deleted", server, &["delete_queue", &any_queue(&mut dice)]).await,
            70..76 => {
                let _now = tally.begin("queue without a leader");
                attempt(tally, "queue without a leader", &server.silence_queue(&any_queue(&mut dice)).await);
            }
            76..82 => {
                let _now = tally.begin("queue without a member");
                attempt(tally, "queue without a member", &server.break_queue(&any_queue(&mut dice)).await);
            }
            82..88 => {
                let _now = tally.begin("broker's disk full");
                attempt(tally, "broker's disk full", &server.ctl(&["set_disk_free_limit", NO_DISK]).await);
                pause(tally, dice.millis(3_000..10_000)).await;
                attempt(tally, "broker's disk full", &server.ctl(&["set_disk_free_limit", SOME_DISK]).await);
            }
            88..94 => ctl(tally, "broker's connections closed", server, &["close_all_connections", "a storm"]).await,
            _ => {
                let _now = tally.begin("doorbells doubled");
                attempt(tally, "doorbells doubled", &ring_again(settings, &jobs()).await);
            }
        }
    }
    Ok(())
}

/// Starts it again. A server that does not come up, as now and then after a kill, is started empty: that is one more loss of its disk.
async fn start(server: &mut Server, tally: &Tally) -> anyhow::Result<()> {
    let Err(mut why) = server.start_again().await else { return Ok(()) };
    for _ in 0..STARTS {
        let _now = tally.begin("broker that did not start wiped");
        match server.wipe().await {
            Ok(()) => return Ok(()),
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn any_queue(dice: &mut Dice) -> String {
    dice.one_of(&Queue::ALL).name()
}

async fn ctl(tally: &Tally, fault: &'static str, server: &Server, arguments: &[&str]) {
    let _now = tally.begin(fault);
    attempt(tally, fault, &server.ctl(arguments).await);
}

/// A queue that another fault has taken cannot be taken again.
fn attempt<T>(tally: &Tally, fault: &'static str, outcome: &anyhow::Result<T>) {
    if outcome.is_err() {
        tally.could_not(fault);
    }
}

/// Rings for jobs, three times for each, ended ones among them.
async fn ring_again(settings: &configuration::Broker, jobs: &[Uuid]) -> anyhow::Result<()> {
    let broker: Arc<dyn Broker> = broker::open(settings).await?;
    let ring = |job_id: &Uuid| OutboxMessage {
        id: Uuid::now_v7(),
        route: Route::now(Queue::Work(Lane::Interactive)),
        message: Message::RunJob { job_id: *job_id },
        traceparent: None,
    };
    let batch: Vec<_> = jobs.iter().cycle().take(jobs.len() * 3).map(ring).collect();
    let published = tokio::time::timeout(Duration::from_secs(15), broker.publish(&batch)).await;
    broker.close(Duration::from_secs(2)).await;
    anyhow::ensure!(published?.iter().all(Result::is_ok), "the broker takes no messages");
    Ok(())
}
