//! Clients that want reports, all the time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use uuid::Uuid;

use super::plan::{Dice, Plan};
use super::tally::Tally;
use crate::client::{Client, Wish, bulk, busy, many, quick_rows, slow};
use crate::watcher::Seen;

/// How many clients there are.
const CLIENTS: usize = 6;
/// With more jobs than these under way clients wait, so that the end is not only a queue.
const ENOUGH: usize = 250;
/// No outage is so long.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a client brings back: of the jobs that it watched, the numbers of the events it saw.
pub(super) type Watched = Vec<(Uuid, Vec<i64>)>;

/// Starts the clients. They end with the storm, after their last submit was accepted and what they watch has ended.
pub(super) fn start(plan: &Plan, client: &Client, tally: &Arc<Tally>) -> Vec<JoinHandle<Watched>> {
    let start = |number: usize| {
        let (client, tally) = (client.patient(PATIENCE), Arc::clone(tally));
        let dice = plan.dice(&format!("client {number}"));
        tokio::spawn(ask_again_and_again(client, tally, dice))
    };
    (0..CLIENTS).map(start).collect()
}

async fn ask_again_and_again(client: Client, tally: Arc<Tally>, mut dice: Dice) -> Watched {
    let mut watching: Vec<JoinHandle<(Uuid, Vec<i64>)>> = Vec::new();
    while !tally.is_over() {
        tokio::time::sleep(dice.millis(50..1_500)).await;
        if tally.unfinished.load(Ordering::Relaxed) > ENOUGH {
            continue;
        }
        let wish = wish(&mut dice).in_a_storm();
        let wish = if dice.percent(70) { wish.with_mail() } else { wish };
        let place = client.note(&wish);
        let id = client.submit_noted(place, &wish).await;
        tally.accepted.fetch_add(1, Ordering::Relaxed);
        if dice.percent(10) {
            // Again with the same key, as a client does that has forgotten the answer.
            client.submit_noted(place, &wish).await;
        }
        if dice.percent(7) {
            tokio::time::sleep(dice.millis(0..1_000)).await;
            client.try_to_cancel(place, id).await;
        }
        if dice.percent(10) {
            watching.push(tokio::spawn(watch(client.clone(), id)));
        }
    }
    let mut watched = Vec::new();
    for one in watching {
        watched.push(one.await.unwrap());
    }
    watched
}

fn wish(dice: &mut Dice) -> Wish {
    let number = |dice: &mut Dice, range| u64::try_from(dice.number(range)).unwrap_or_default();
    match dice.number(0..100) {
        0..45 => quick_rows(number(dice, 1..2_000)),
        45..65 => slow(number(dice, 0..3_000)),
        65..77 => bulk(number(dice, 0..5_000)),
        77..90 => many("many", number(dice, 1..20_000)),
        90..96 => many("many-from-file", 10_000 * number(dice, 1..4)),
        _ => busy(),
    }
}

/// Watches a job to its end, and comes back as often as the connection is lost.
async fn watch(client: Client, id: Uuid) -> (Uuid, Vec<i64>) {
    let mut seen = Seen::default();
    while !seen.is_over() {
        let last = seen.last.clone();
        match client.watch(id, last.as_deref()).await {
            Ok(stream) => seen.read(stream, usize::MAX).await,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    (id, seen.events.into_iter().map(|(seq, _)| seq).collect())
}
