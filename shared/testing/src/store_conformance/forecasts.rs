//! What arrival times are learned from: runs that ended, and who is in line.

use chrono::{DateTime, Utc};
use model::forecast::{Eta, Forecast, LoadLevel, RunKey};
use model::job::{Job, Lane, NewJob};
use store::{Ending, QueueCensus, QueuePage, QueuePart, QueuedJob, RunsQuery, Submitted};

use super::fixture::{StoreFixture, TestWorker};
use super::samples::{ana, artifact, caller, keyed_job, new_job};

fn runs_of(tenant: &str, report: &str) -> RunsQuery {
    RunsQuery { tenant: tenant.to_owned(), report: report.to_owned(), after: None }
}

async fn done(fixture: &StoreFixture, worker: &TestWorker, job: NewJob) -> Job {
    let job = fixture.submit(job).await;
    let job = fixture.claim(worker, job.id).await;
    fixture.settle(&job, Ending::Done(vec![artifact(&job)])).await;
    fixture.job(job.id).await
}

fn run_key(job: &Job) -> RunKey {
    RunKey::of_job(&job.report_version, &job.params, &job.formats)
}

pub async fn a_forecast_is_kept_with_its_job_and_told_again_to_a_repeat(fixture: StoreFixture) {
    let eta = Eta { p10: 10, p50: 20, p90: 30, runs: 9 };
    let waiting = Forecast { position: 3, eta: None, load: LoadLevel::of(5) };
    for forecast in [None, Some(waiting), Some(Forecast { position: 1, eta: Some(eta), ..waiting })] {
        let key = format!("{forecast:?}");
        let job = fixture.submit(NewJob { forecast, ..keyed_job(&ana(), &key, "body") }).await;
        assert_eq!((job.forecast, fixture.job(job.id).await.forecast), (forecast, forecast));
        let other = Some(Forecast { position: 9, ..Forecast::default() });
        let repeat = NewJob { forecast: other, ..keyed_job(&ana(), &key, "body") };
        let Submitted::Replayed(again) = fixture.store.submit(vec![repeat]).await.unwrap().remove(0) else {
            panic!("not replayed")
        };
        assert_eq!(*again, job);
    }
}

pub async fn runs_are_told_by_tenant_and_report_oldest_first(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let first = done(&fixture, &worker, new_job(&ana())).await;
    let second = done(&fixture, &worker, new_job(&ana())).await;
    let third = done(&fixture, &worker, new_job(&ana())).await;
    done(&fixture, &worker, NewJob { report: "top-customers".to_owned(), ..new_job(&ana()) }).await;
    done(&fixture, &worker, new_job(&caller("globex", "ana"))).await;
    fixture.failed(&worker).await;
    fixture.pending().await;
    let report = &first.report;
    let wanted = vec![runs_of("acme", report), runs_of("acme", "nothing"), runs_of("globex", report)];
    let told = fixture.store.finished_runs(wanted, 10).await.unwrap();
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [3, 0, 1]);
    for (run, job) in told[0].iter().zip([&first, &second, &third]) {
        let (started, finished) = (job.started_at.unwrap(), job.finished_at.unwrap());
        let ms = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).num_milliseconds().unsigned_abs();
        assert_eq!(run.finished_at, finished);
        assert_eq!(run.took_ms, ms(started, finished));
        assert_eq!(run.waited_ms, Some(ms(job.created_at, started)));
        assert_eq!(run.total_ms, Some(ms(job.created_at, finished)));
        assert_eq!((run.run_key, run.rows, run.forecast), (run_key(job), job.progress.rows, None));
    }
    let newest = fixture.store.finished_runs(vec![runs_of("acme", report)], 2).await.unwrap().remove(0);
    assert_eq!(newest, told[0][1..]);
    let after = RunsQuery { after: Some(told[0][1].finished_at), ..runs_of("acme", report) };
    let later = fixture.store.finished_runs(vec![after], 10).await.unwrap().remove(0);
    assert!(later.iter().all(|run| run.finished_at > told[0][1].finished_at));
    assert!(fixture.store.finished_runs(Vec::new(), 10).await.unwrap().is_empty());
}

pub async fn a_run_that_was_put_back_has_no_time_from_its_submit(fixture: StoreFixture) {
    let worker = fixture.worker().await;
    let failed = fixture.failed(&worker).await;
    fixture.store.replay(&ana(), failed.id).await.unwrap();
    let again = fixture.claim(&worker, failed.id).await;
    fixture.settle(&again, Ending::Done(vec![artifact(&again)])).await;
    let handed_back = fixture.processing(&worker).await;
    fixture.settle(&handed_back, Ending::HandBack).await;
    let second = fixture.claim(&worker, handed_back.id).await;
    fixture.settle(&second, Ending::Done(vec![artifact(&second)])).await;
    let runs = fixture.store.finished_runs(vec![runs_of("acme", &failed.report)], 10).await.unwrap().remove(0);
    let spans: Vec<_> = runs.iter().map(|run| (run.waited_ms.is_some(), run.total_ms.is_some())).collect();
    assert_eq!(spans, [(false, false), (false, true)]);
}

pub async fn the_line_holds_who_waits_and_who_runs(fixture: StoreFixture) {
    let empty = fixture.store.queue_status(10).await.unwrap();
    assert!(empty.waiting.is_empty() && empty.running.is_empty() && empty.slots.is_empty());
    let worker = fixture.worker().await;
    let running = fixture.processing(&worker).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(fixture.pending().await);
    }
    let bulk = fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    fixture.done(&worker).await;
    let line = fixture.store.queue_status(10).await.unwrap();
    assert_eq!(line.running, [in_line(&fixture.job(running.id).await)]);
    let of = |lane| line.waiting.iter().filter(|job| job.lane == lane).cloned().collect::<Vec<_>>();
    assert_eq!(of(Lane::Interactive), waiting.iter().map(in_line).collect::<Vec<_>>());
    assert_eq!(of(Lane::Bulk), [in_line(&bulk)]);
    let mut slots = line.slots.clone();
    slots.sort_unstable();
    let info = fixture.store.workers().await.unwrap().remove(0).info;
    assert_eq!(slots, info.lanes.iter().map(|lane| (*lane, info.concurrency)).collect::<Vec<_>>());
    let short = fixture.store.queue_status(2).await.unwrap();
    assert_eq!(short.waiting.iter().filter(|job| job.lane == Lane::Interactive).count(), 2);
}

fn in_line(job: &Job) -> QueuedJob {
    QueuedJob {
        id: job.id,
        caller: job.caller.clone(),
        report: job.report.clone(),
        lane: job.lane,
        run_key: run_key(job),
        attempt: job.attempt,
        started_at: job.started_at,
        made_from: job.sharing.made_from,
    }
}

pub async fn a_queue_is_counted_part_by_part(fixture: StoreFixture) {
    for _ in 0..5 {
        fixture.pending().await;
    }
    fixture.submit(NewJob { lane: Lane::Bulk, ..new_job(&ana()) }).await;
    let worker = fixture.worker().await;
    fixture.processing(&worker).await;
    let count = async |part, limit| fixture.store.count_waiting(Lane::Interactive, part, limit).await.unwrap();
    let all = count(QueuePart::default(), 10).await;
    assert_eq!((all.count, all.full), (5, false));
    // Of a full page those of its last moment are left to the next.
    let first = count(QueuePart::default(), 3).await;
    assert_eq!((first.count, first.full), (2, true));
    assert!(first.until < all.until);
    assert_eq!(count(QueuePart { after: None, until: first.until }, 10).await.count, 2);
    let rest = count(QueuePart { after: first.until, until: None }, 10).await;
    assert_eq!((rest.count, rest.until, rest.full), (3, all.until, false));
    let nothing = count(QueuePart { after: all.until, until: None }, 10).await;
    assert_eq!(nothing, QueuePage::default());
    let mut census = QueueCensus::new(Lane::Interactive);
    census.look(fixture.store.as_ref()).await.unwrap();
    assert_eq!(census.count(), Some(5));
}
