//! Jobs that are made from the Parquet file another one kept.

use std::time::Duration;

use model::access::hash_token;
use model::artifact::{Format, NewArtifact};
use model::job::{Caller, NewJob};
use model::reuse::{LinkSeed, Reuse, Served};
use store::{Ending, RunsQuery};
use uuid::Uuid;

use super::fixture::StoreFixture;
use super::samples::{ana, artifact, caller, link_hash, new_job};

/// A job that asks for a further format of a finished one.
fn further(caller: &Caller, made_from: Uuid) -> NewJob {
    let job = new_job(caller);
    let links = job.formats.iter().map(|format| LinkSeed::new("a secret of the tests", *format)).collect();
    let (fingerprint, max_age) = (hash_token("further"), Duration::from_secs(3600));
    NewJob { reuse: Some(Reuse { fingerprint, max_age, links, made_from: Some(made_from) }), ..job }
}

pub async fn what_is_made_from_a_kept_file_says_so_and_goes_with_it(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let short = fixture.submit(NewJob { retention_ms: 3_600_000, ..new_job(&ana()) }).await;
    let claimed = fixture.claim(&worker, short.id).await;
    let parquet = NewArtifact { format: Format::Parquet, ..artifact(&claimed) };
    fixture.settle(&claimed, Ending::Done(vec![parquet])).await;
    let kept = fixture.job(short.id).await.artifacts.remove(0);
    let further = |who: &Caller| further(who, short.id);
    let leader = fixture.submit(further(&ana())).await;
    let joined = fixture.submit(further(&caller("acme", "eve"))).await;
    assert_eq!((leader.sharing.served, joined.sharing.served), (Served::Cold, Served::Joined));
    let claimed = fixture.claim(&worker, leader.id).await;
    assert_eq!(claimed.sharing.made_from, Some(short.id), "whoever claims it knows");
    fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
    let warm = fixture.submit(further(&caller("acme", "eve"))).await;
    assert_eq!(warm.sharing.served, Served::Warm);
    for job in [&leader, &joined, &warm] {
        assert_eq!(job.sharing.made_from, Some(short.id));
        let done = fixture.store.job(&job.caller, job.id).await.unwrap().unwrap();
        assert_eq!((done.sharing.made_from, done.artifacts[0].expires_at), (Some(short.id), kept.expires_at));
        let link = fixture.store.find_link(link_hash(done.artifacts[0].link_id)).await.unwrap();
        assert_eq!(link.unwrap().expires_at, kept.expires_at);
    }
    let shorter = fixture.submit(NewJob { retention_ms: 60_000, ..further(&caller("acme", "joe")) }).await;
    assert_eq!(shorter.sharing.served, Served::Warm);
    let mut own = NewJob { retention_ms: 60_000, ..further(&ana()) };
    own.reuse.as_mut().unwrap().max_age = Duration::ZERO;
    let own = fixture.submit(own).await;
    let claimed = fixture.claim(&worker, own.id).await;
    fixture.settle(&claimed, Ending::Done(vec![artifact(&claimed)])).await;
    assert!(fixture.job(own.id).await.artifacts[0].expires_at < kept.expires_at, "its own retention ends first");
    // How long it takes to make a file from another one tells nothing of the report's runs.
    let runs = RunsQuery { tenant: "acme".to_owned(), report: short.report.clone(), after: None };
    assert_eq!(fixture.store.finished_runs(vec![runs], 10).await.unwrap()[0].len(), 1);
    assert_eq!(fixture.job(short.id).await.sharing.made_from, None);
}
