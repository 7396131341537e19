//! `DELETE /v1/schedules/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};
use model::problem::StoredProblem;

use super::{check_match, find_schedule, no_such_schedule, stands_in_file};
use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// Removes a schedule and the record of its firings. Jobs that it submitted stay.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "schedules",
    params(
        ("id" = Uuid, Path, description = "The schedule's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it was read with"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, description = "forbidden: it stands in a file of the catalogue", body = StoredProblem),
        (status = 404, description = "schedule-not-found", body = StoredProblem),
        (status = 412, description = "schedule-changed", body = StoredProblem),
    )
)]
pub async fn delete(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let schedule = find_schedule(&gateway, &identity, &id).await?;
    check_match(&request, &schedule)?;
    if let Some(place) = schedule.catalogue.as_ref().filter(|_| !schedule.ended) {
        return Err(stands_in_file(place));
    }
    let gone = gateway.store.delete_schedule(&identity.tenant, schedule.id).await?;
    if gone { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such_schedule()) }
}
