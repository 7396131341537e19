//! `GET /d/{token}/status`: how far a report is that is being made again, for whoever holds the link.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use model::problem::StoredProblem;
use serde::Serialize;

use super::resolve::{self, LinkState};
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// How a link stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LinkProgress {
    /// `ready`: the file is there. `expired`: it has gone, and can be made again. `making`: that is happening. `failed`: it did
    /// not work. `revoked`.
    state: &'static str,
    /// Rows read so far, while `making`.
    rows: Option<u64>,
    /// How much of them, where the total is known.
    percent: Option<f64>,
}

/// Says how a link stands. Nothing is counted.
#[utoipa::path(get, path = "/d/{token}/status", tag = "links", security(()),
    params(("token" = String, Path, description = "From the mail, or from `link` of an artifact")),
    responses(
        (status = 200, description = "How the link stands", body = LinkProgress),
        (status = 401, description = "unauthorized: the report demands that whoever opens the link is signed in", body = StoredProblem),
        (status = 404, description = "link-not-found", body = StoredProblem),
    )
)]
pub async fn status(gateway: web::Data<Gateway>, token: web::Path<String>, request: HttpRequest) -> ApiResult {
    let found = resolve::find(&gateway, &token).await?;
    super::check_visitor(&gateway, &found, &request).await?;
    let (state, job) = match &found.state {
        LinkState::Live(..) => ("ready", None),
        LinkState::Expired => ("expired", None),
        LinkState::Revoked => ("revoked", None),
        LinkState::Failed(_) => ("failed", None),
        LinkState::Regenerating(job) => ("making", Some(job)),
    };
    let progress = job.map(|job| job.progress);
    let said = LinkProgress {
        state,
        rows: progress.map(|progress| progress.rows),
        percent: progress.and_then(|progress| progress.percent()),
    };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(said))
}
