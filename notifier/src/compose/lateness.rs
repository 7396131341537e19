//! Says that a report takes longer than was told, or took longer: what was expected, how far it is, what is expected now.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::delivery::Lateness;
use model::forecast::Eta;
use model::job::{Job, JobState};
use model::progress::Phase;

use super::details::Detail;
use super::messages::fill;
use super::recipient_locale::RecipientLocale;

/// Returns the details of a report that is late.
pub(super) fn details(
    job: &Job,
    late: &Lateness,
    at: DateTime<Utc>,
    locale: RecipientLocale<'_>,
) -> impl Iterator<Item = Detail> {
    let t = &locale.t.late;
    let range = |eta: Eta, from| {
        let (p10, _, p90) = eta.after(from);
        locale.date_time_range(p10, p90)
    };
    let told = job.forecast.and_then(|forecast| forecast.eta);
    let expected = told.map(|eta| Detail::new(&t.expected, range(eta, job.created_at)));
    let so_far = Detail::new(&t.so_far, progress_text(late, locale));
    let now = late.eta.map_or_else(|| t.unknown.clone(), |eta| range(eta, at));
    let now = Detail::new(&t.now_expected, now);
    expected.into_iter().chain([so_far, now])
}

fn progress_text(late: &Lateness, locale: RecipientLocale<'_>) -> String {
    let (t, progress) = (&locale.t.late, &late.progress);
    let rows = locale.rows(progress.rows);
    match (late.state, progress.phase) {
        (JobState::Retrying, _) => t.retrying.clone(),
        (JobState::Processing, Phase::Reading) if progress.rows > 0 => {
            let Some((total, percent)) = progress.total_rows.zip(progress.percent()) else {
                return fill(&t.reading, &[("rows", &rows)]);
            };
            let text = if progress.total_is_estimate { &t.reading_about } else { &t.reading_of };
            let (read, total) = (locale.number(progress.rows), locale.number(total));
            fill(text, &[("read", &read), ("total", &total), ("percent", &format!("{:.0}", percent.floor()))])
        }
        (JobState::Processing, Phase::Starting | Phase::Reading) => t.starting.clone(),
        (JobState::Processing, Phase::Storing | Phase::Finished) => fill(&t.storing, &[("rows", &rows)]),
        _ => t.waiting.clone(),
    }
}

/// Returns the line about files that came later than was told, by so much that it is worth telling.
pub(super) fn note(job: &Job, locale: RecipientLocale<'_>, late_after: Option<Duration>) -> Option<String> {
    let eta = job.forecast?.eta.filter(|_| job.state == JobState::Done && !job.was_put_back())?;
    let took = (job.finished_at? - job.created_at).to_std().ok()?;
    let (low, high) = (Duration::from_millis(eta.p10), Duration::from_millis(eta.p90));
    if took <= high.saturating_add(late_after?) {
        return None;
    }
    let (took, expected) = (locale.rough_duration(took), locale.rough_duration_range(low, high));
    Some(fill(&locale.t.late.took, &[("took", &took), ("expected", &expected)]))
}
