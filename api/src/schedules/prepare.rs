//! A firing is made as a submit is: by the same checks, out of the same limits, in the name of the schedule's owner.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use model::job::{Caller, NewJob, Params};
use model::locale::time_zone;
use model::problem::ProblemKind;
use model::schedule::{OnEmpty, Schedule};
use model::seal::SealedJob;
use model::trace::TraceContext;
use serde_json::Value;

use super::check_schedule::submit_body;
use crate::auth::{Identity, identify_owner};
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::jobs::admission::{JobOrigin, PreparedJob};
use crate::jobs::check_submit::check_submit;
use crate::jobs::relative::{WallClock, is_relative, resolve};

/// Why a firing has no job.
#[derive(Debug)]
pub(super) enum NoJob {
    /// Its owner may not run reports any more.
    OwnerGone,
    /// The report, a parameter or a recipient is not what it was; says what.
    Refused(String),
    /// Its tenant has no room, or the store cannot be asked: later.
    Later(ApiError),
}

/// Owners that were looked up for one batch, by report.
pub(super) type Owners = HashMap<(Caller, String), Option<Identity>>;

/// Makes the job of a firing; relative parameters are told from its nominal time. It stands in line: whoever cannot write it takes it out again.
pub(super) async fn prepare(
    gateway: &Gateway,
    schedule: &Schedule,
    nominal: NaiveDateTime,
    owners: &mut Owners,
) -> Result<NewJob, NoJob> {
    let settings = &schedule.settings;
    let key = (schedule.owner.clone(), settings.report.clone());
    let owner = match owners.get(&key) {
        Some(known) => known.clone(),
        None => {
            let found = identify_owner(gateway, &schedule.owner, &settings.report).await.map_err(NoJob::Later)?;
            owners.entry(key).or_insert(found).clone()
        }
    };
    let owner = owner.ok_or(NoJob::OwnerGone)?;
    let params = open_params(gateway, schedule).map_err(NoJob::Refused)?;
    let zone =
        time_zone(&settings.zone).ok_or_else(|| NoJob::Refused(format!("there is no zone {}", settings.zone)))?;
    let holidays = gateway.calendars.of(settings.calendar.as_deref());
    let holidays = holidays.map_err(|why| NoJob::Refused(why.to_string()))?;
    let clock = WallClock { nominal, zone, holidays };
    let mut request =
        check_submit(gateway, &owner, submit_body(settings, params), &clock).map_err(|error| refusal(&error))?;
    for notify in &mut request.notify {
        notify.on_empty = Some(settings.on_empty).filter(|on_empty| *on_empty != OnEmpty::Send);
    }
    let traceparent = TraceContext::start().to_string();
    let origin = JobOrigin { caller: schedule.owner.clone(), traceparent, idempotency: None };
    match PreparedJob::prepare(gateway, request, origin).await {
        Ok(prepared) => Ok(prepared.into_job(gateway)),
        Err(error) => Err(NoJob::Later(error)),
    }
}

/// Opens the parameters of a schedule.
///
/// # Errors
/// Says which cannot be opened.
pub(super) fn open_params(gateway: &Gateway, schedule: &Schedule) -> Result<Params, String> {
    let sealed = SealedJob::new(&schedule.owner.tenant, schedule.id);
    gateway.seal_keys.open(sealed, &schedule.settings.params).map_err(|error| error.to_string())
}

/// Says what is wrong with a firing, in a line.
fn refusal(error: &ApiError) -> NoJob {
    let fields: Vec<String> = error.errors().iter().map(|one| format!("{} {}", one.pointer, one.detail)).collect();
    match error.kind() {
        ProblemKind::ValidationFailed => NoJob::Refused(fields.join("; ")),
        _ => NoJob::Refused(error.detail().to_owned()),
    }
}

/// Returns the parameters as they may be shown.
pub(super) fn shown_params(gateway: &Gateway, schedule: &Schedule) -> Params {
    let report = gateway.catalogue.report(&schedule.settings.report);
    let hide = |(name, value): (&String, &Value)| {
        let hidden = !value.is_null() && report.as_ref().is_none_or(|report| report.is_sensitive(name));
        (name.clone(), if hidden { Value::from("(hidden)") } else { value.clone() })
    };
    schedule.settings.params.iter().map(hide).collect()
}

/// Returns what is relative of the parameters, as it would be at a nominal time. Sensitive values are never shown.
pub(super) fn relative_params(gateway: &Gateway, schedule: &Schedule, nominal: NaiveDateTime) -> Params {
    let settings = &schedule.settings;
    let (Some(report), Some(zone)) = (gateway.catalogue.report(&settings.report), time_zone(&settings.zone)) else {
        return Params::new();
    };
    let relative = settings.params.iter().filter(|(name, value)| is_relative(value) && !report.is_sensitive(name));
    let mut params: Params = relative.map(|(name, value)| (name.clone(), value.clone())).collect();
    let Ok(holidays) = gateway.calendars.of(settings.calendar.as_deref()) else { return Params::new() };
    resolve(&report, &mut params, &WallClock { nominal, zone, holidays }, &mut Vec::new());
    params
}
