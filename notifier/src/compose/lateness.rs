//! Says that a report takes longer than was told, or took longer: what was expected, how far it is, what is expected now.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::delivery::Lateness;
use model::forecast::Eta;
use model::job::{Job, JobState};
use model::progress::Phase;

use super::human::Human;
use super::messages::fill;

/// Returns the lines of a mail about a report that is late, each with its label.
pub(super) fn lines<'a>(
    job: &Job,
    late: &Lateness,
    at: DateTime<Utc>,
    human: Human<'a>,
) -> impl Iterator<Item = (&'a str, String)> {
    let t = &human.t.late;
    let span = |eta: Eta, from| {
        let (p10, _, p90) = eta.after(from);
        human.span(p10, p90)
    };
    let told = job.forecast.and_then(|forecast| forecast.eta);
    let expected = told.map(|eta| (t.expected.as_str(), span(eta, job.created_at)));
    let so_far = (t.so_far.as_str(), how_far(late, human));
    let now = (t.now_expected.as_str(), late.eta.map_or_else(|| t.unknown.clone(), |eta| span(eta, at)));
    expected.into_iter().chain([so_far, now])
}

fn how_far(late: &Lateness, human: Human<'_>) -> String {
    let (t, progress) = (&human.t.late, &late.progress);
    let rows = human.rows(progress.rows);
    match (late.state, progress.phase) {
        (JobState::Retrying, _) => t.retrying.clone(),
        (JobState::Processing, Phase::Reading) if progress.rows > 0 => {
            let Some((total, percent)) = progress.total_rows.zip(progress.percent()) else {
                return fill(&t.reading, &[("rows", &rows)]);
            };
            let text = if progress.total_is_estimate { &t.reading_about } else { &t.reading_of };
            let (read, total) = (human.number(progress.rows), human.number(total));
            fill(text, &[("read", &read), ("total", &total), ("percent", &format!("{:.0}", percent.floor()))])
        }
        (JobState::Processing, Phase::Starting | Phase::Reading) => t.starting.clone(),
        (JobState::Processing, Phase::Storing | Phase::Finished) => fill(&t.storing, &[("rows", &rows)]),
        _ => t.waiting.clone(),
    }
}

/// Returns the line of a mail with files that came later than was told, by so much that it was worth telling.
pub(super) fn of_ready(job: &Job, human: Human<'_>, late_after: Option<Duration>) -> Option<String> {
    let eta = job.forecast?.eta.filter(|_| job.state == JobState::Done && !job.was_put_back())?;
    let took = (job.finished_at? - job.created_at).to_std().ok()?;
    let (low, high) = (Duration::from_millis(eta.p10), Duration::from_millis(eta.p90));
    if took <= high.saturating_add(late_after?) {
        return None;
    }
    let (took, expected) = (human.about(took), human.about_between(low, high));
    Some(fill(&human.t.late.took, &[("took", &took), ("expected", &expected)]))
}
