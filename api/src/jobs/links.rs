//! `GET /v1/jobs/{id}/links`: the links to a job's files, and who opened them.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::access::kept_link_token;
use model::artifact::{Agent, Click, ClickKind, Format, LinkStatus};
use model::problem::StoredProblem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::find::find_job;
use super::parse_id;
use super::view::JobPresenter;
use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// The links to a job's files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobLinks)]
pub struct LinksView {
    /// One a file.
    links: Vec<LinkView>,
}

/// A link, and how often it was opened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub struct LinkView {
    /// Format of the file.
    #[schema(value_type = String)]
    format: Format,
    /// Name of the file.
    filename: String,
    /// The link.
    link: String,
    /// `works`, `expired` or `revoked`.
    state: &'static str,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When its file goes.
    expires_at: DateTime<Utc>,
    /// When it was revoked.
    revoked_at: Option<DateTime<Utc>>,
    /// How often people looked at its page.
    views: u64,
    /// How often its file was fetched; a download that was resumed is one.
    downloads: u64,
    /// The newest download.
    last_download_at: Option<DateTime<Utc>>,
    /// The job that made the report again after the file had gone; the link leads to its file.
    again_job_id: Option<Uuid>,
    /// The newest ones first, at most 50.
    clicks: Vec<ClickView>,
}

/// Somebody opened a link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Click)]
pub struct ClickView {
    /// When.
    at: DateTime<Utc>,
    /// `view` of the page, or `download` of the file.
    #[schema(value_type = String)]
    kind: ClickKind,
    /// `browser`, `program` or `scanner`: what the program says of itself. Scanners are not counted.
    #[schema(value_type = String)]
    agent: Agent,
    /// Who was signed in, if anybody.
    principal: Option<String>,
}

/// Lists the links to a job's files, and who opened them.
#[utoipa::path(get, path = "/v1/jobs/{id}/links", tag = "links",
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The links; none before the job is done", body = LinksView),
        (status = 404, description = "job-not-found", body = StoredProblem),
    )
)]
pub async fn list(
    gateway: web::Data<Gateway>,
    identity: Identity,
    id: web::Path<String>,
    request: HttpRequest,
) -> ApiResult {
    let id = parse_id(&id)?;
    find_job(&gateway, &identity, id).await?;
    let presenter = JobPresenter::new(&gateway, &request);
    let links = gateway.store.links_of_job(&identity, id).await?;
    let links = links.into_iter().map(|link| {
        let token = kept_link_token(gateway.link_secret.all(), link.link_id, Some(link.token_hash));
        LinkView::of(link, presenter.url(&format!("/d/{token}")))
    });
    Ok(HttpResponse::Ok().json(LinksView { links: links.collect() }))
}

impl LinkView {
    fn of(status: LinkStatus, link: String) -> Self {
        Self {
            format: status.format,
            filename: status.filename,
            link,
            state: match (status.revoked_at, status.expired) {
                (Some(_), _) => "revoked",
                (None, true) => "expired",
                (None, false) => "works",
            },
            created_at: status.created_at,
            expires_at: status.expires_at,
            revoked_at: status.revoked_at,
            views: status.views,
            downloads: status.downloads,
            last_download_at: status.last_download_at,
            again_job_id: status.again_job_id,
            clicks: status.clicks.into_iter().map(ClickView::of).collect(),
        }
    }
}

impl ClickView {
    fn of(click: Click) -> Self {
        Self { at: click.at, kind: click.kind, agent: click.agent, principal: click.principal }
    }
}
