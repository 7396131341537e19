//! The body of a submit is checked: everything that is wrong is told at once, each with its JSON pointer.

use std::sync::Arc;
use std::time::Duration;

use model::artifact::Format;
use model::job::Params;
use model::problem::{FieldError, Problem, ProblemKind};
use model::refusal::OnRefusal;
use report::{ReportDefinition, validate_params};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::check_fields::{check_formats, check_object, check_on_refusal, refuse_unknown, take_given, wrong};
use super::check_notify::{NotifyBody, check_notify};
use super::relative::{WallClock, resolve};
use super::submit_request::SubmitRequest;
use crate::auth::Identity;
use crate::closed_sets::{FormatName, OnRefusalName};
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::reports::no_such_report;

// Written down for the document of the API; `check_submit` reads it, so that every fault is found.
/// What a submit says.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Submit)]
#[serde(deny_unknown_fields)]
pub struct SubmitBody {
    /// Name of a report of the catalogue.
    report: String,
    /// Parameters; `GET /v1/reports/{name}` has their JSON Schema.
    #[schema(value_type = Object)]
    params: Option<Params>,
    /// Formats to make, from one run; the report's first format when absent.
    #[schema(value_type = Option<Vec<FormatName>>, min_items = 1)]
    formats: Option<Vec<Format>>,
    /// What becomes of the job when a format cannot hold the rows: `fail`, also when absent, or `keep_others`: it is done with the
    /// other formats, and `refused` says what is missing.
    #[schema(value_type = Option<OnRefusalName>)]
    on_refusal: Option<OnRefusal>,
    /// Who is told when the job ends.
    #[schema(max_items = 20)]
    notify: Option<Vec<NotifyBody>>,
    /// Whether an identical job may be the answer; as the report says when absent.
    reuse: Option<ReuseBody>,
}

/// Whether an identical job may be the answer.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Reuse)]
#[serde(deny_unknown_fields)]
pub struct ReuseBody {
    /// Seconds since it finished, at most. 0: a run of its own.
    #[schema(minimum = 0, maximum = 31_536_000)]
    max_age: u64,
}

/// Checks the body of a submit. Relative parameters are told from `clock`.
///
/// # Errors
/// `invalid-body` when it is no object, `report-not-found`, `validation-failed`.
pub(crate) fn check_submit(
    gateway: &Gateway,
    identity: &Identity,
    body: Value,
    clock: &WallClock,
) -> Result<SubmitRequest, ApiError> {
    let Value::Object(mut fields) = body else {
        return Err(ApiError::new(
            ProblemKind::InvalidBody,
            "The body must be a JSON object such as {\"report\": \"…\"}.",
        ));
    };
    let mut errors = Vec::new();
    let report = check_report(gateway, fields.remove("report"), &mut errors).filter(|report| identity.may_run(report));
    let unknown_report = errors.is_empty() && report.is_none();
    let given = check_object(take_given(&mut fields, "params"), "/params", &mut errors);
    let params = match (&report, given) {
        (Some(report), Some(mut given)) => {
            resolve(report, &mut given, clock, &mut errors);
            identity.fix_params(report, &mut given, &mut errors);
            identity.check_known(report, &mut errors);
            validate_params(report, &given).map_err(|faults| errors.extend(faults)).ok()
        }
        _ => None,
    };
    let formats = check_formats(report.as_deref(), take_given(&mut fields, "formats"), &mut errors);
    let on_refusal = check_on_refusal(take_given(&mut fields, "on_refusal"), &mut errors);
    let notify =
        check_notify(&identity.recipient_rules(&gateway.recipients), take_given(&mut fields, "notify"), &mut errors);
    let max_age = check_reuse(report.as_deref(), take_given(&mut fields, "reuse"), &mut errors);
    refuse_unknown(&fields, "", "report, params, formats, on_refusal, notify and reuse", &mut errors);
    if unknown_report {
        errors.insert(0, wrong("/report", "is not in the catalogue"));
        return Err(ApiError::with_fields(ProblemKind::ReportNotFound, no_such_report().detail(), errors));
    }
    match (report, params, formats, notify) {
        (Some(report), Some(params), Some(formats), Some(notify)) if errors.is_empty() => {
            let attributes = identity.attributes().clone();
            Ok(SubmitRequest { report, params, attributes, formats, on_refusal, notify, max_age, made_from: None })
        }
        _ => Err(Problem::invalid(errors).into()),
    }
}

/// Returns none either with an error, or because the catalogue has no such report.
fn check_report(
    gateway: &Gateway,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Arc<ReportDefinition>> {
    match given {
        Some(Value::String(name)) => return gateway.catalogue.report(&name),
        None => errors.push(wrong("/report", "is required: the name of a report")),
        Some(_) => errors.push(wrong("/report", "must be a string: the name of a report")),
    }
    None
}

/// Longest age that may be asked for: a year.
pub(super) const MAX_AGE: u64 = 365 * 86_400;

/// Returns what was asked for, else what the report says. Zero is only worth a thought where the report reuses.
fn check_reuse(
    report: Option<&ReportDefinition>,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Duration> {
    let default = report.and_then(|report| report.reuse);
    let mut fields = match given {
        None => return default,
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            errors.push(wrong("/reuse", "must be an object with max_age"));
            return None;
        }
    };
    let asked = fields.remove("max_age").and_then(|seconds| seconds.as_u64()).filter(|seconds| *seconds <= MAX_AGE);
    if asked.is_none() {
        errors.push(wrong("/reuse/max_age", format!("must be a whole number of seconds from 0 to {MAX_AGE}")));
    }
    refuse_unknown(&fields, "/reuse", "max_age", errors);
    asked.map(Duration::from_secs).filter(|age| default.is_some() || !age.is_zero())
}
