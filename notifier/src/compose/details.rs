//! The details of a notification: the report's parameters, and what is known of the run.

use model::job::Job;
use model::problem::{Problem, ProblemKind};
use report::{ParamSpec, ParamType, ReportDefinition};
use serde::Serialize;
use serde_json::Value;

use super::facts::{Facts, NotificationKind};
use super::lateness;
use super::messages::fill;
use super::recipient_locale::RecipientLocale;
use super::single_line::single_line;

/// One detail.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    /// What it is.
    pub label: String,
    /// Its value; empty where that is sensitive.
    pub value: String,
    /// Whether the value is kept back.
    pub hidden: bool,
}

impl Detail {
    pub(super) fn new(label: &str, value: String) -> Self {
        Self { label: label.to_owned(), value, hidden: false }
    }
}

/// Tells the parameters in the report's order, sensitive ones without their values; then what is known of the run.
pub(super) fn of(facts: &Facts, locale: RecipientLocale<'_>) -> Vec<Detail> {
    let (job, labels) = (&facts.job, &locale.t.details);
    let mut details = facts.report.as_ref().map(|report| params(job, report, locale)).unwrap_or_default();
    if facts.kind != NotificationKind::Ready {
        details.push(Detail::new(&labels.asked_at, locale.date_time(job.created_at)));
    }
    match &facts.kind {
        NotificationKind::Ready => {}
        NotificationKind::Late(late, at) => {
            details.extend(lateness::details(job, late, *at, locale));
            return details;
        }
        NotificationKind::Failed(problem) => {
            let tries = tries(job, problem);
            if tries > 1 {
                details.push(Detail::new(&labels.tries, locale.number(tries)));
            }
            return details;
        }
    }
    let snapshot = job.artifacts.first().map(|file| file.snapshot_at);
    details.extend(snapshot.map(|at| Detail::new(&labels.data_as_of, locale.date_time(at))));
    let took = job.started_at.zip(job.finished_at).and_then(|(from, to)| (to - from).to_std().ok());
    details.extend(took.map(|took| Detail::new(&labels.took, locale.duration(took))));
    let expires_at = job.artifacts.iter().map(|artifact| artifact.expires_at).min();
    details.extend(expires_at.map(|at| Detail::new(&labels.kept_until, locale.date_time(at))));
    details
}

fn params(job: &Job, report: &ReportDefinition, locale: RecipientLocale<'_>) -> Vec<Detail> {
    let given = report.params.iter().filter_map(|spec| Some((spec, job.params.get(&spec.name)?)));
    given
        .filter(|(_, value)| !value.is_null())
        .map(|(spec, value)| Detail {
            label: single_line(&spec.label, 80),
            value: if spec.sensitive { String::new() } else { single_line(&param_text(spec, value, locale), 200) },
            hidden: spec.sensitive,
        })
        .collect()
}

fn param_text(spec: &ParamSpec, value: &Value, locale: RecipientLocale<'_>) -> String {
    const SHOWN: usize = 8;
    let values = &locale.t.values;
    match value {
        Value::String(text) => match spec.kind {
            ParamType::Date => text.parse().map_or_else(|_| text.clone(), |date| locale.date(date)),
            ParamType::Timestamp => text.parse().map_or_else(|_| text.clone(), |time| locale.date_time(time)),
            _ => text.clone(),
        },
        Value::Bool(true) => values.yes.clone(),
        Value::Bool(false) => values.no.clone(),
        Value::Array(items) => {
            let mut shown: Vec<String> = items.iter().take(SHOWN).map(|item| param_text(spec, item, locale)).collect();
            if items.len() > SHOWN {
                shown.push(fill(&values.more, &[("n", &(items.len() - SHOWN).to_string())]));
            }
            shown.join(", ")
        }
        other => other.to_string(),
    }
}

fn tries(job: &Job, problem: &Problem) -> u64 {
    let lost = problem.kind == ProblemKind::WorkersLost;
    u64::try_from(if lost { job.crashes } else { job.errors }).unwrap_or(0)
}
