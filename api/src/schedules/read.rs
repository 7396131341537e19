//! `GET /v1/schedules` and `GET /v1/schedules/{id}`.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use model::access::{open_cursor, seal_cursor};
use model::problem::{ProblemKind, StoredProblem};
use serde::Deserialize;
use store::{ScheduleFilter, Scope};
use uuid::Uuid;

use super::view::{ScheduleDetailsView, ScheduleView, SchedulesView};
use super::{entity_tag, find_schedule, may_run_named, refuse_token};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::list::parse_query;

/// A page has this many schedules unless `limit` says otherwise.
const PAGE: u32 = 50;
/// Firings that are shown of one.
const FIRINGS: u32 = 50;

/// Which schedules.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScheduleQuery {
    /// `tenant`: those of everybody in the tenant, for keys with the scope `admin`.
    #[param(value_type = Option<String>, pattern = "^(own|tenant)$")]
    of: Option<Whose>,
    /// Schedules a page, at most `http.max_page`.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next` of the page before; good only for the same query.
    cursor: Option<String>,
}

/// Whose schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// The caller's.
    #[default]
    Own,
    /// Everybody's in the tenant.
    Tenant,
}

/// Lists the caller's schedules, oldest first.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules", params(ScheduleQuery),
    responses(
        (status = 200, description = "A page", body = SchedulesView),
        (status = 400, description = "invalid-query", body = StoredProblem),
        (status = 403, description = "forbidden: also for a token, and for `of=tenant` without `admin`", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    refuse_token(&identity)?;
    let query: ScheduleQuery = parse_query(&request)?;
    let whole_tenant = query.of.unwrap_or_default() == Whose::Tenant;
    if whole_tenant && !identity.scopes().contains(&Scope::Admin) {
        let detail = "The schedules of a whole tenant are for API keys with the scope `admin`.";
        return Err(ApiError::new(ProblemKind::Forbidden, detail));
    }
    let most = gateway.http.max_page;
    let limit = query.limit.unwrap_or(PAGE.min(most));
    if limit == 0 || limit > most {
        return Err(ApiError::new(ProblemKind::InvalidQuery, format!("`limit` must be between 1 and {most}.")));
    }
    let (secrets, whose) = (&gateway.link_secret, if whole_tenant { "" } else { &identity.principal });
    let purpose = format!("schedules\n{}\n{whose}", identity.tenant);
    let open = |cursor: &String| {
        let position = open_cursor(secrets.all(), &purpose, cursor).and_then(|bytes| Uuid::from_slice(&bytes).ok());
        let detail =
            "`cursor` is not one of this list's. Start without a cursor, and do not change the query on the way.";
        position.ok_or_else(|| ApiError::new(ProblemKind::InvalidQuery, detail))
    };
    let filter = ScheduleFilter {
        tenant: identity.tenant.clone(),
        principal: (!whole_tenant).then(|| identity.principal.clone()),
        after: query.cursor.as_ref().map(open).transpose()?,
        limit: limit + 1,
    };
    let mut found = gateway.store.schedules(filter).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| seal_cursor(secrets.expose(), &purpose, last.id.as_bytes()));
    let shown = found.iter().filter(|schedule| may_run_named(&gateway, &identity, &schedule.settings.report));
    let schedules = shown.map(|schedule| ScheduleView::of(&gateway, schedule)).collect();
    Ok(HttpResponse::Ok().json(SchedulesView { schedules, next }))
}

/// Reads a schedule with its sentence, its next ten times and its newest firings.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "schedules",
    params(("id" = Uuid, Path, description = "The schedule's id")),
    responses(
        (status = 200, description = "The schedule", body = ScheduleDetailsView, headers(
            ("ETag" = String, description = "Its version, for `If-Match`"),
        )),
        (status = 404, description = "schedule-not-found", body = StoredProblem),
    )
)]
pub async fn read(gateway: web::Data<Gateway>, identity: Identity, id: web::Path<String>) -> ApiResult {
    let schedule = find_schedule(&gateway, &identity, &id).await?;
    let firings = gateway.store.firings(schedule.id, FIRINGS).await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, entity_tag(&schedule)))
        .json(ScheduleDetailsView::of(&gateway, &schedule, firings)))
}
