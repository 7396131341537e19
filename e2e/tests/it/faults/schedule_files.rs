//! Two gateways with different files of schedules on one database, as while a changed catalogue is rolled out, and rolled back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta, Utc};
use model::schedule::{FiringOutcome, Schedule};
use store::ScheduleFilter;
use testing::eventually;
use testing::process::Process;

use crate::stack::{Options, SOON, Stack};

/// How long the word of a gateway that has what is in force holds, at files read again this often: see ADR 43.
const RELOAD_EVERY: &str = "200ms";
const HELD_FOR: Duration = Duration::from_secs(6);
/// Nominal times that each schedule has to catch up with when it is put in force.
const MINUTES: i64 = 30;

/// A schedule of a file that fires each minute.
fn each_minute(name: &str, title: &str) -> String {
    let starts_at = (Utc::now() - TimeDelta::minutes(MINUTES)).format("%Y-%m-%dT%H:%M:00Z");
    format!(
        "\n[[schedules]]\nname = \"{name}\"\ntenant = \"acme\"\nowner = \"ana\"\ntitle = \"{title}\"\nwhen = \"* * * * *\"\n\
         zone = \"Europe/Berlin\"\noverlap = \"allow\"\ncatch_up = \"2h\"\nstarts_at = \"{starts_at}\"\n"
    )
}

/// A folder with one report and these schedules.
fn folder(at: &Path, schedules: &[String]) -> String {
    let report = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue/quick.toml"));
    std::fs::create_dir(at).unwrap();
    std::fs::write(at.join("quick.toml"), format!("{report}{}", schedules.concat())).unwrap();
    at.display().to_string()
}

async fn gateway(stack: &Stack, folder: &str) -> Process {
    let builder = stack.process("api").env("WAITLESS_CATALOGUE__FOLDER", folder);
    builder.env("WAITLESS_CATALOGUE__RELOAD_EVERY", RELOAD_EVERY).start_ready().await.unwrap()
}

/// What the gateways made of the files, by the name of the schedule.
async fn in_force(stack: &Stack) -> Result<BTreeMap<String, Schedule>, String> {
    let filter = ScheduleFilter { tenant: "acme".to_owned(), principal: None, after: None, limit: 100 };
    let all = stack.store.schedules(filter).await.map_err(|error| error.to_string())?;
    Ok(all.into_iter().map(|one| (one.catalogue.clone().unwrap().name, one)).collect())
}

/// Waits until each schedule has the title that it is to have; without one it has ended.
async fn see(stack: &Stack, what: &str, wanted: &[(&str, Option<&str>)]) -> BTreeMap<String, Schedule> {
    eventually(SOON, what, async || {
        let found = in_force(stack).await?;
        let titles: Vec<(&str, Option<&str>)> = found
            .iter()
            .map(|(name, one)| (name.as_str(), one.settings.title.as_deref().filter(|_| !one.ended)))
            .collect();
        if titles == wanted { Ok(found) } else { Err(format!("{titles:?}")) }
    })
    .await
}

/// Looks for longer than any word holds whether somebody changes something.
async fn see_that_nothing_flaps(stack: &Stack, before: &BTreeMap<String, Schedule>) {
    let begun = Instant::now();
    let versions = |all: &BTreeMap<String, Schedule>| -> Vec<_> {
        all.iter().map(|(name, one)| (name.clone(), one.id, one.version, one.ended)).collect()
    };
    eventually(SOON, "the time that words hold to pass twice", async || {
        assert_eq!(in_force(stack).await.map(|now| versions(&now)), Ok(versions(before)), "a schedule flaps");
        (begun.elapsed() > HELD_FOR * 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_that_is_rolled_out_and_back_gateway_by_gateway_loses_and_doubles_no_firing() {
    let mut stack = Stack::start_with(Options { workers: 1, ..Options::default() }).await;
    let files = tempfile::tempdir().unwrap();
    let kept = each_minute("kept", "kept");
    let old = folder(
        &files.path().join("old"),
        &[kept.clone(), each_minute("changed", "before"), each_minute("removed", "removed")],
    );
    let new =
        folder(&files.path().join("new"), &[kept, each_minute("changed", "after"), each_minute("added", "added")]);
    let mut older = vec![gateway(&stack, &old).await, gateway(&stack, &old).await];
    let before = [("changed", Some("before")), ("kept", Some("kept")), ("removed", Some("removed"))];
    let first = see(&stack, "the schedules of the old files", &before).await;

    // One of two is replaced: what is new is in force at once, and what only the old one has goes on.
    older.remove(0).kill();
    let newer = gateway(&stack, &new).await;
    let both =
        [("added", Some("added")), ("changed", Some("after")), ("kept", Some("kept")), ("removed", Some("removed"))];
    let mixed = see(&stack, "both files", &both).await;
    assert_eq!((mixed["kept"].version, mixed["changed"].id), (first["kept"].version, first["changed"].id));
    see_that_nothing_flaps(&stack, &mixed).await;

    // The other one follows: what was taken out ends.
    drop(older);
    let after = [("added", Some("added")), ("changed", Some("after")), ("kept", Some("kept")), ("removed", None)];
    let rolled_out = see(&stack, "the end of what was taken out", &after).await;
    assert_eq!(rolled_out["kept"].version, first["kept"].version, "nobody touched what both have");

    // And back: as long as a new one runs its word counts.
    let rolled_back = gateway(&stack, &old).await;
    see_that_nothing_flaps(&stack, &rolled_out).await;
    drop(newer);
    let again = [("added", None), ("changed", Some("before")), ("kept", Some("kept")), ("removed", Some("removed"))];
    let last = see(&stack, "the old files again", &again).await;
    for (name, one) in &first {
        assert_eq!(last[name].id, one.id, "{name} is the same schedule through all of it");
    }
    stack.push_gateway(rolled_back);
    judge(&stack, &first["kept"], &first["changed"]).await;
}

/// Each minute since they were first in force has one firing, of what both files have and of what they do not agree on.
async fn judge(stack: &Stack, kept: &Schedule, changed: &Schedule) {
    let mut jobs = BTreeSet::new();
    for schedule in [kept, changed] {
        let firings = eventually(SOON, "what is due has fired", async || {
            let now =
                stack.store.schedule("acme", schedule.id).await.map_err(|error| error.to_string())?.ok_or("gone")?;
            let next = now.next.filter(|next| next.due > Utc::now()).ok_or("still due")?;
            let firings = stack.store.firings(schedule.id, 10_000).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((next.nominal, firings))
        })
        .await;
        let (next, firings) = firings;
        let nominal: BTreeSet<NaiveDateTime> = firings.iter().map(|firing| firing.nominal.unwrap()).collect();
        assert_eq!(nominal.len(), firings.len(), "no nominal time comes twice");
        let each = std::iter::successors(nominal.first().copied(), |one| Some(*one + TimeDelta::minutes(1)));
        let wanted: BTreeSet<NaiveDateTime> = each.take_while(|one| *one < next).collect();
        assert_eq!(nominal, wanted, "no nominal time is lost");
        assert!(firings.len() >= usize::try_from(MINUTES).unwrap(), "{} firings", firings.len());
        for firing in firings {
            assert_eq!(firing.outcome, FiringOutcome::Fired, "{firing:?}");
            assert!(jobs.insert(firing.job_id.unwrap()), "one job for two firings");
        }
    }
    for job in jobs {
        stack.wait_for(job, model::job::JobState::Done).await;
    }
}
