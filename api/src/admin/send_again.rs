//! `POST /v1/admin/deliveries/send-again`: failed deliveries of the tenant, some or all since a time.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::audit::AuditAct;
use model::problem::{FieldError, Problem, ProblemKind, StoredProblem, pointer_part};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::FailedDeliveries;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::note;
use crate::auth::Identity;
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Deliveries named by one call at most.
const MOST_NAMED: usize = 100;
/// Deliveries in one statement.
const AT_ONCE: u32 = 1_000;

/// Which deliveries to send again: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SendAgainRequest {
    /// Some.
    Named(SendAgainNamed),
    /// All since a time.
    Since(SendAgainSince),
}

/// Sends named deliveries again.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct SendAgainNamed {
    /// Ids of failed deliveries.
    #[schema(min_items = 1, max_items = 100)]
    deliveries: Vec<Uuid>,
}

/// Sends deliveries again that failed then or later.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[serde(deny_unknown_fields)]
pub struct SendAgainSince {
    /// By the database's clock.
    failed_since: DateTime<Utc>,
}

/// What becomes of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentAgain {
    /// How many are pending again.
    sent_again: u64,
    /// Of the ids that were named, those that are no failed deliveries of this tenant.
    not_failed: Vec<Uuid>,
}

/// Makes failed deliveries pending again: they are tried at once, under the same `Message-ID`.
#[utoipa::path(post, path = "/v1/admin/deliveries/send-again", tag = "admin", request_body = SendAgainRequest,
    responses(
        (status = 200, description = "How many", body = SentAgain),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn send_again(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let mut outcome = SentAgain { sent_again: 0, not_failed: Vec::new() };
    match check(&body)? {
        ChosenDeliveries::Named(ids) => {
            for id in ids {
                match gateway.store.send_again(&identity.tenant, FailedDeliveries::One(id), 1).await? {
                    0 => outcome.not_failed.push(id),
                    sent => outcome.sent_again += u64::from(sent),
                }
            }
        }
        ChosenDeliveries::Since(since) => {
            // What fails again meanwhile is not sent once more: that might never end.
            let which = FailedDeliveries::Between { since, until: gateway.store.now().await? };
            loop {
                let sent = gateway.store.send_again(&identity.tenant, which, AT_ONCE).await?;
                outcome.sent_again += u64::from(sent);
                if sent < AT_ONCE {
                    break;
                }
            }
        }
    }
    let detail = format!("{} sent again", outcome.sent_again);
    note(&gateway, &identity, AuditAct::DeliveriesSentAgain, (String::new(), detail)).await?;
    Ok(HttpResponse::Ok().json(outcome))
}

enum ChosenDeliveries {
    Named(Vec<Uuid>),
    Since(DateTime<Utc>),
}

fn check(body: &Value) -> Result<ChosenDeliveries, ApiError> {
    let Value::Object(fields) = body else {
        let detail = "The body must be a JSON object such as {\"failed_since\": \"2026-01-31T12:00:00Z\"}.";
        return Err(ApiError::new(ProblemKind::InvalidBody, detail));
    };
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, detail: &str| errors.push(FieldError { pointer, detail: detail.to_owned() });
    for name in fields.keys().filter(|name| !["deliveries", "failed_since"].contains(&name.as_str())) {
        let name: String = name.chars().take(100).collect();
        let pointer = format!("/{}", pointer_part(&name));
        wrong(pointer, "is not a known field; there are deliveries and failed_since");
    }
    let wish = match (fields.get("deliveries"), fields.get("failed_since")) {
        (Some(ids), None) => read_ids(ids, &mut wrong).map(ChosenDeliveries::Named),
        (None, Some(_)) => read_time(fields, &mut wrong).map(ChosenDeliveries::Since),
        _ => {
            wrong(String::new(), "must have either deliveries or failed_since");
            None
        }
    };
    match wish {
        Some(wish) if errors.is_empty() => Ok(wish),
        _ => Err(Problem::invalid(errors).into()),
    }
}

fn read_ids(ids: &Value, wrong: &mut impl FnMut(String, &str)) -> Option<Vec<Uuid>> {
    let Some(items) = ids.as_array().filter(|items| (1..=MOST_NAMED).contains(&items.len())) else {
        wrong("/deliveries".to_owned(), "must be a list of 1 to 100 ids of deliveries");
        return None;
    };
    let read = |(index, item): (usize, &Value)| {
        let id = item.as_str().and_then(|text| Uuid::try_parse(text).ok());
        if id.is_none() {
            wrong(format!("/deliveries/{index}"), "must be the id of a delivery");
        }
        id
    };
    Some(items.iter().enumerate().filter_map(read).collect())
}

fn read_time(fields: &Map<String, Value>, wrong: &mut impl FnMut(String, &str)) -> Option<DateTime<Utc>> {
    let at = fields.get("failed_since").and_then(Value::as_str).and_then(|text| text.parse().ok());
    if at.is_none() {
        wrong("/failed_since".to_owned(), "must be a time such as \"2026-01-31T12:00:00Z\"");
    }
    at
}
