//! What is used: counted with the job it belongs to, for tenant, principal and report, and folded without a loss.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::access::hash_token;
use model::artifact::Format;
use model::delivery::Notify;
use model::job::{Caller, JobState, NewJob};
use model::reuse::{LinkSeed, Reuse};
use model::usage::{Usage, UsageSubject, part_of};
use store::{Ending, Settled, Submitted};

use super::fixture::StoreFixture;
use super::samples::{ana, artifact, caller, keyed_job, new_job, problem};

async fn used(fixture: &StoreFixture, tenant: &str, subject: UsageSubject) -> Usage {
    let parts = fixture.store.usage_of(tenant, &subject, DateTime::UNIX_EPOCH).await.unwrap();
    parts.into_iter().map(|part| part.usage).sum()
}

fn of(caller: &Caller) -> UsageSubject {
    UsageSubject::Principal(caller.principal.clone())
}

fn submits(jobs: u64, recipients: u64, links: u64) -> Usage {
    Usage { jobs, recipients, links, ..Usage::default() }
}

pub async fn submits_are_counted_for_their_tenant_principal_and_report(fixture: StoreFixture) {
    let before = part_of(fixture.store.now().await.unwrap());
    let (bob, zoe) = (caller("acme", "bob"), caller("zenith", "ana"));
    let two = vec![Notify::by_email("a@example.com"), Notify::by_email("b@example.com")];
    let wide = NewJob { formats: vec![Format::Csv, Format::Parquet], notify: two, ..new_job(&bob) };
    let other = NewJob { report: "orders".to_owned(), notify: Vec::new(), ..new_job(&ana()) };
    let batch = vec![new_job(&ana()), wide, other, new_job(&zoe)];
    fixture.store.submit(batch).await.unwrap();
    fixture.pending().await;
    assert_eq!(used(&fixture, "acme", UsageSubject::Tenant).await, submits(4, 4, 5));
    assert_eq!(used(&fixture, "acme", of(&ana())).await, submits(3, 2, 3));
    assert_eq!(used(&fixture, "acme", of(&bob)).await, submits(1, 2, 2));
    assert_eq!(used(&fixture, "acme", UsageSubject::Report("orders".to_owned())).await, submits(1, 0, 1));
    assert_eq!(used(&fixture, "zenith", UsageSubject::Tenant).await, submits(1, 1, 1));
    assert_eq!(used(&fixture, "nobody", UsageSubject::Tenant).await, Usage::default());
    let parts = fixture.store.usage_of("acme", &UsageSubject::Tenant, before).await.unwrap();
    assert!(parts.iter().all(|part| part.since >= before && part_of(part.since) == part.since), "{parts:?}");
    assert!(parts.is_sorted_by_key(|part| part.since));
}

pub async fn what_is_not_written_is_not_counted(fixture: StoreFixture) {
    fixture.submit(keyed_job(&ana(), "one", "body")).await;
    let again = vec![keyed_job(&ana(), "one", "body"), keyed_job(&ana(), "one", "other")];
    let outcomes = fixture.store.submit(again).await.unwrap();
    assert!(matches!(outcomes[0], Submitted::Replayed(_)) && outcomes[1] == Submitted::KeyReused);
    let bad = NewJob { report: "a\0b".to_owned(), ..new_job(&ana()) };
    let outcomes = fixture.store.submit(vec![bad, new_job(&ana())]).await.unwrap();
    let refused = matches!(outcomes[0], Submitted::Refused(_));
    let written = 2 + u64::from(!refused);
    assert_eq!(used(&fixture, "acme", UsageSubject::Tenant).await.jobs, written);
}

pub async fn rows_and_bytes_are_counted_once_when_a_job_is_done(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let job = fixture.submit(NewJob { formats: vec![Format::Csv, Format::Jsonl], ..new_job(&ana()) }).await;
    let job = fixture.claim(&worker, job.id).await;
    let second = store_artifact(&job, Format::Jsonl);
    let ending = || Ending::Done(vec![artifact(&job), second.clone()]);
    assert_eq!(fixture.settle(&job, ending()).await, Settled::As(JobState::Done));
    assert_eq!(fixture.settle(&job, ending()).await, Settled::TooLate);
    let failed = fixture.processing(&worker).await;
    fixture.settle(&failed, Ending::Failed(problem())).await;
    let expected = Usage { rows: 56, bytes: 2 * 1234, ..submits(2, 2, 3) };
    for subject in [UsageSubject::Tenant, of(&ana()), UsageSubject::Report("pricing-summary".to_owned())] {
        assert_eq!(used(&fixture, "acme", subject.clone()).await, expected, "{subject:?}");
    }
}

fn store_artifact(job: &model::job::Job, format: Format) -> model::artifact::NewArtifact {
    let mut other = artifact(job);
    other.format = format;
    other.object_key = model::artifact::object_key(job.id, job.attempt, other.id, format);
    other
}

pub async fn an_answer_of_an_identical_job_is_counted_as_a_submit_and_its_rows_are_not(fixture: StoreFixture) {
    let reusing = |who: &Caller| {
        let links = vec![LinkSeed::new("a secret of the tests", Format::Csv)];
        let max_age = Duration::from_secs(3600);
        let reuse = Some(Reuse { fingerprint: hash_token("one"), max_age, links, made_from: None });
        NewJob { reuse, ..new_job(who) }
    };
    let worker = fixture.worker().await;
    let leader = fixture.submit(reusing(&ana())).await;
    fixture.submit(reusing(&caller("acme", "bob"))).await;
    let leader = fixture.claim(&worker, leader.id).await;
    fixture.settle(&leader, Ending::Done(vec![artifact(&leader)])).await;
    let warm = fixture.submit(reusing(&caller("acme", "eve"))).await;
    assert_eq!(warm.state, JobState::Done);
    assert_eq!(used(&fixture, "acme", UsageSubject::Tenant).await, Usage { rows: 56, bytes: 1234, ..submits(3, 3, 3) });
    for follower in ["bob", "eve"] {
        assert_eq!(used(&fixture, "acme", UsageSubject::Principal(follower.to_owned())).await, submits(1, 1, 1));
    }
}

pub async fn a_hundred_writers_at_once_lose_no_count(fixture: StoreFixture) {
    let submits = (0..100).map(|number| {
        let who = caller("acme", if number % 2 == 0 { "ana" } else { "bob" });
        let store = fixture.store.clone();
        async move { store.submit(vec![new_job(&who), new_job(&who)]).await.unwrap() }
    });
    futures_util::future::join_all(submits).await;
    assert_eq!(used(&fixture, "acme", UsageSubject::Tenant).await.jobs, 200);
    assert_eq!(used(&fixture, "acme", of(&ana())).await.jobs, 100);
}

pub async fn usage_is_listed_by_principal_and_by_report_the_most_jobs_first(fixture: StoreFixture) {
    let bob = caller("acme", "bob");
    let orders = |who| NewJob { report: "orders".to_owned(), ..new_job(who) };
    let batch = vec![orders(&bob), orders(&bob), new_job(&ana()), new_job(&caller("zenith", "zoe"))];
    fixture.store.submit(batch).await.unwrap();
    let names = |list: Vec<(String, Usage)>| list.into_iter().map(|(name, used)| (name, used.jobs)).collect::<Vec<_>>();
    let by_principal = fixture.store.usage_by_principal("acme", DateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(names(by_principal), [("bob".to_owned(), 2), ("ana".to_owned(), 1)]);
    let by_report = fixture.store.usage_by_report("acme", DateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(names(by_report), [("orders".to_owned(), 2), ("pricing-summary".to_owned(), 1)]);
    let later = fixture.store.now().await.unwrap() + TimeDelta::hours(1);
    assert_eq!(fixture.store.usage_by_principal("acme", later).await.unwrap(), []);
}

pub async fn a_day_is_folded_into_one_row_without_a_loss(fixture: StoreFixture) {
    for _ in 0..5 {
        fixture.store.submit(vec![new_job(&ana()), new_job(&caller("acme", "bob"))]).await.unwrap();
    }
    let now = fixture.store.now().await.unwrap();
    let starts = part_of(now - TimeDelta::hours(2));
    let fold = async |ends: DateTime<Utc>| fixture.store.fold_usage(starts, ends).await.unwrap();
    assert_eq!(fold(part_of(now - TimeDelta::hours(1))).await, 0, "nothing was used then");
    let ends = part_of(now) + TimeDelta::hours(1);
    fold(ends).await;
    let parts = fixture.store.usage_of("acme", &UsageSubject::Tenant, starts).await.unwrap();
    assert_eq!(parts.iter().map(|part| (part.since, part.usage.jobs)).collect::<Vec<_>>(), [(starts, 10)]);
    fixture.pending().await;
    fold(ends).await;
    assert_eq!(fold(ends).await, 0, "it is folded");
    let parts = fixture.store.usage_of("acme", &UsageSubject::Tenant, starts).await.unwrap();
    assert_eq!(parts.iter().map(|part| (part.since, part.usage.jobs)).collect::<Vec<_>>(), [(starts, 11)]);
    assert_eq!(used(&fixture, "acme", of(&ana())).await, submits(6, 6, 6));
}

pub async fn usage_is_forgotten_when_it_is_old(fixture: StoreFixture) {
    fixture.pending().await;
    assert_eq!(fixture.store.forget_usage(Duration::from_secs(3600)).await.unwrap(), 0);
    let now = fixture.store.now().await.unwrap();
    let old = part_of(now - TimeDelta::hours(3));
    fixture.store.fold_usage(old, part_of(now) + TimeDelta::hours(1)).await.unwrap();
    assert_eq!(fixture.store.forget_usage(Duration::from_secs(3600)).await.unwrap(), 3);
    assert_eq!(used(&fixture, "acme", UsageSubject::Tenant).await, Usage::default());
}
