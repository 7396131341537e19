//! `GET /v1/jobs`: the caller's jobs, newest first, page by page.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, web};
use model::access::{open_cursor, seal_cursor};
use model::job::{Job, JobState};
use model::problem::{ProblemKind, StoredProblem};
use serde::{Deserialize, Serialize};
use store::JobFilter;
use utoipa::ToSchema;
use uuid::Uuid;

use super::find::{is_visible, sees_report};
use super::view::{JobPresenter, JobView};
use crate::auth::Identity;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

/// Names the list of the caller's own jobs.
const OWN: &str = "jobs";

/// A page has this many jobs unless `limit` says otherwise.
const PAGE: u32 = 50;

/// Which jobs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only jobs in this state.
    #[param(value_type = Option<String>, pattern = "^(pending|processing|retrying|done|failed|cancelled)$")]
    state: Option<JobState>,
    /// Only jobs of this report.
    report: Option<String>,
    /// Jobs a page, at most `http.max_page`.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From `next` of the page before; good only for the same query.
    cursor: Option<String>,
}

impl ListQuery {
    /// Tells whether a state was asked for.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// Returns the report that was asked for.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        self.report.clone()
    }
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Jobs)]
pub struct JobsView<'a> {
    /// Newest first.
    jobs: Vec<JobView<'a>>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// Lists the caller's jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(ListQuery),
    responses(
        (status = 200, description = "A page", body = JobsView, headers(
            ("Link" = String, description = "The next page, where there is one"),
        )),
        (status = 400, description = "invalid-query", body = StoredProblem),
    )
)]
pub async fn list(gateway: web::Data<Gateway>, identity: Identity, request: HttpRequest) -> ApiResult {
    let query: ListQuery = parse_query(&request)?;
    let page = Page::open(&gateway, &identity, &query, OWN)?;
    let filter = JobFilter {
        caller: model::job::Caller::clone(&identity),
        whole_tenant: false,
        state: query.state,
        report: query.report(),
        before: page.before,
        limit: page.limit + 1,
    };
    let jobs = gateway.store.jobs(filter).await?;
    page.answer(&gateway, &identity, (&request, &query), jobs).await
}

/// Reads the query string.
///
/// # Errors
/// `invalid-query`.
pub fn parse_query<T: for<'de> Deserialize<'de>>(request: &HttpRequest) -> Result<T, ApiError> {
    web::Query::<T>::from_query(request.query_string()).map(web::Query::into_inner).map_err(|error| {
        let said = error.to_string();
        let said = said.split_once(": ").map_or(said.as_str(), |(_, said)| said);
        ApiError::new(ProblemKind::InvalidQuery, format!("The query string cannot be read: {said}."))
    })
}

/// Where a page starts and how long it is.
#[derive(Debug)]
pub struct Page {
    /// Older than this job.
    pub before: Option<Uuid>,
    /// At most this many jobs.
    pub limit: u32,
    purpose: String,
    /// Whether it is a list of the caller's own jobs, of which some may not be for them.
    is_own: bool,
}

impl Page {
    /// Checks limit and cursor. A cursor belongs to its caller, list and filter.
    ///
    /// # Errors
    /// `invalid-query`.
    pub fn open(gateway: &Gateway, identity: &Identity, query: &ListQuery, list: &str) -> Result<Self, ApiError> {
        let most = gateway.http.max_page;
        let limit = query.limit.unwrap_or(PAGE.min(most));
        if limit == 0 || limit > most {
            let detail = format!("`limit` must be between 1 and {most}.");
            return Err(ApiError::new(ProblemKind::InvalidQuery, detail));
        }
        let state = query.state.map_or("", JobState::as_str);
        let report = query.report.as_deref().unwrap_or_default();
        let purpose = format!("{list}\n{}\n{}\n{state}\n{report}", identity.tenant, identity.principal);
        let open = |cursor: &String| {
            let position = open_cursor(gateway.link_secret.all(), &purpose, cursor);
            position.and_then(|bytes| Uuid::from_slice(&bytes).ok()).ok_or_else(|| {
                ApiError::new(
                    ProblemKind::InvalidQuery,
                    "`cursor` is not one of this list's. Start without a cursor, and do not change the filter on the way.",
                )
            })
        };
        let before = query.cursor.as_ref().map(open).transpose()?;
        Ok(Self { before, limit, purpose, is_own: list == OWN })
    }

    /// Answers a page; `jobs` holds one more than the page when there is a next one. Jobs of reports that the caller may not know of are left
    /// out, and of their own those that are beyond what they may see now.
    ///
    /// # Errors
    /// The store's.
    pub async fn answer(
        &self,
        gateway: &Gateway,
        identity: &Identity,
        (request, query): (&HttpRequest, &ListQuery),
        mut jobs: Vec<Job>,
    ) -> ApiResult {
        let more = jobs.len() > self.limit as usize;
        jobs.truncate(self.limit as usize);
        let presenter = JobPresenter::new(gateway, request);
        let mut views = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let shown = if self.is_own {
                is_visible(gateway, identity, job).await?
            } else {
                sees_report(gateway, identity, job).await?
            };
            if !shown {
                continue;
            }
            let sensitive = gateway.report_versions.sensitive_params(job).await?;
            gateway.hub.note(job);
            views.push(presenter.view(job, &sensitive));
        }
        let last = jobs.last().filter(|_| more);
        let next = last.map(|job| seal_cursor(gateway.link_secret.expose(), &self.purpose, job.id.as_bytes()));
        let mut answer = HttpResponse::Ok();
        if let Some(next) = &next {
            let url = presenter.url(&format!("{}?{}", request.path(), self.query_of(query, next)));
            answer.insert_header((LINK, format!("<{url}>; rel=\"next\"")));
        }
        Ok(answer.json(JobsView { jobs: views, next }))
    }

    fn query_of(&self, query: &ListQuery, next: &str) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        if let Some(state) = query.state {
            text.append_pair("state", state.as_str());
        }
        if let Some(report) = &query.report {
            text.append_pair("report", report);
        }
        text.append_pair("limit", &self.limit.to_string()).append_pair("cursor", next).finish()
    }
}
