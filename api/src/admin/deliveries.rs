//! `GET /v1/admin/deliveries`.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::delivery::{Channel, Delivery, DeliveryEvent, DeliveryState};
use model::problem::{ProblemKind, StoredProblem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::dead_letters::job_in_tenant;
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::list::parse_query;
use crate::watch::VisibleJobs;

/// Which deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    /// `pending`, `sending`, `sent` or `failed`.
    #[param(value_type = Option<String>, pattern = "^(pending|sending|sent|failed)$")]
    state: Option<DeliveryState>,
    /// Those of one job of the tenant's, all of them.
    job: Option<Uuid>,
    /// At most this many, and at most `http.max_page`.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// One notification to one recipient.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The mail's `Message-ID` is made from it; it is a request's `webhook-id`.
    id: Uuid,
    /// The job it is about.
    job_id: Uuid,
    /// `done`, `failed`, or `late`: the job takes longer than was told.
    #[schema(value_type = String)]
    event: DeliveryEvent,
    /// `email` or `webhook`.
    #[schema(value_type = String)]
    channel: Channel,
    /// Whom: a mail address, or the name of a webhook.
    to: String,
    /// `pending`, `sending`, `sent` or `failed`.
    #[schema(value_type = String)]
    state: DeliveryState,
    /// Tries so far.
    attempt: i32,
    /// When it is tried again.
    next_attempt_at: Option<DateTime<Utc>>,
    /// What the server said last, where it did not accept it; of an endpoint its status and the beginning of its answer.
    error: Option<String>,
    /// When the job ended, or was found late.
    created_at: DateTime<Utc>,
    /// When the server accepted it.
    sent_at: Option<DateTime<Utc>>,
}

/// Deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub struct DeliveriesView {
    /// Newest first.
    deliveries: Vec<DeliveryView>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            job_id: delivery.job_id,
            event: delivery.event,
            channel: delivery.channel,
            to: delivery.recipient,
            state: delivery.state,
            attempt: delivery.attempt,
            next_attempt_at: delivery.next_attempt_at,
            error: delivery.error,
            created_at: delivery.created_at,
            sent_at: delivery.sent_at,
        }
    }
}

/// Lists the tenant's deliveries, newest first.
#[utoipa::path(get, path = "/v1/admin/deliveries", tag = "admin", params(DeliveriesQuery),
    responses(
        (status = 200, description = "The newest", body = DeliveriesView),
        (status = 400, description = "invalid-query", body = StoredProblem),
        (status = 404, description = "job-not-found", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let query: DeliveriesQuery = parse_query(&request)?;
    let most = gateway.http.max_page;
    let limit = query.limit.unwrap_or(50.min(most));
    if limit == 0 || limit > most {
        let detail = format!("`limit` must be between 1 and {most}.");
        return Err(ApiError::new(ProblemKind::InvalidQuery, detail));
    }
    let deliveries = match query.job {
        Some(job) => of_job(&gateway, &identity, job, query.state).await?,
        None => {
            visible(&gateway, &identity, gateway.store.deliveries(&identity.tenant, query.state, limit).await?).await?
        }
    };
    Ok(HttpResponse::Ok().json(DeliveriesView { deliveries: deliveries.into_iter().map(Into::into).collect() }))
}

/// Leaves out what is about jobs of reports that the operator may not see.
async fn visible(
    gateway: &web::Data<Gateway>,
    identity: &Identity,
    deliveries: Vec<Delivery>,
) -> Result<Vec<Delivery>, ApiError> {
    let mut jobs = VisibleJobs::of_tenant(identity.clone());
    let mut seen = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if jobs.look(gateway, delivery.job_id).await? {
            seen.push(delivery);
        }
    }
    Ok(seen)
}

/// A job tells at most a few dozen people, so there are no pages.
async fn of_job(
    gateway: &Gateway,
    identity: &Identity,
    job: Uuid,
    state: Option<DeliveryState>,
) -> Result<Vec<Delivery>, ApiError> {
    job_in_tenant(gateway, identity, job).await?.ok_or_else(ApiError::no_such_job)?;
    let mut found = gateway.store.deliveries_of_job(job).await?;
    found.retain(|delivery| state.is_none_or(|state| delivery.state == state));
    Ok(found)
}
