//! `/d/{token}`: the link in the mail.
//!
//! It works any number of times, so that mail scanners do not use it up; when its file has gone, one button makes the report again,
//! and from then on the same link leads to the new file.

mod again;
mod agent;
mod pages;
mod render;
mod resolve;
mod status;
mod texts;

use actix_web::http::header::{ACCEPT, AUTHORIZATION, RANGE};
use actix_web::{HttpRequest, web};
use model::artifact::{ClickKind, NewClick};
use model::audit::{AuditAct, NewAuditEntry, Person};
use model::problem::{ProblemKind, StoredProblem};
use report::LinkAccess;
use store::Scope;

use crate::audit::{note_read, sender};
use crate::auth::{Grant, Identity};
use crate::download::{answer_file, fetches};
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::jobs::find::is_visible;

pub use again::{__path_again, RegenerationLimiter, again};
pub use pages::LinkPages;
pub use status::{__path_status, LinkProgress, status};

use pages::PageWriter;
use resolve::{LinkState, ResolvedLink};

/// Follows a link to its file; signed anew at each click. Browsers get a page with a button first.
#[utoipa::path(get, path = "/d/{token}", tag = "links", security(()),
    params(
        ("token" = String, Path, description = "From the mail, or from `link` of an artifact"),
        ("download" = Option<String>, Query, description = "The file itself, also for a browser"),
    ),
    responses(
        (status = 200, description = "The file; a page about it where `Accept` names HTML"),
        (status = 206, description = "The range of the file"),
        (status = 302, description = "The file is at `Location`, for a few minutes"),
        (status = 401, description = "unauthorized: the report demands that whoever opens the link is signed in", body = StoredProblem),
        (status = 403, description = "forbidden: signed in as somebody of another tenant", body = StoredProblem),
        (status = 404, description = "link-not-found", body = StoredProblem),
        (status = 410, description = "link-expired, link-revoked, artifact-expired", body = StoredProblem),
    )
)]
pub async fn follow(gateway: web::Data<Gateway>, token: web::Path<String>, request: HttpRequest) -> ApiResult {
    let person = wants_page(&request);
    let found = match resolve::find(&gateway, &token).await {
        Ok(found) => found,
        Err(error) if person => return gateway.link_pages.for_reader(&request, None).refuse(&error),
        Err(error) => return Err(error),
    };
    let pages = gateway.link_pages.for_reader(&request, Some(&found.link.tenant));
    match open(&gateway, &found, person.then_some(pages), &request).await {
        Err(error) if person => match error.kind() {
            ProblemKind::LinkExpired | ProblemKind::ArtifactExpired => pages.expired(&token, &error),
            ProblemKind::Unauthorized => pages.sign_in(&token),
            _ => pages.refuse(&error),
        },
        answer => answer,
    }
}

/// Answers with the file, or, where there is somebody to speak to, with a page.
async fn open(
    gateway: &Gateway,
    found: &ResolvedLink,
    pages: Option<PageWriter<'_>>,
    request: &HttpRequest,
) -> ApiResult {
    if matches!(found.state, LinkState::Revoked) {
        return Err(ApiError::new(
            ProblemKind::LinkRevoked,
            "The sender has revoked this link. Ask them for the report.",
        ));
    }
    let visitor = check_visitor(gateway, found, request).await?;
    let (hash, link) = match (&found.state, pages) {
        (LinkState::Live(hash, link), _) => (*hash, link),
        (LinkState::Regenerating(job), Some(pages)) => return pages.making(job, &title(gateway, &job.report)),
        (LinkState::Failed(job), Some(pages)) => {
            return pages.failed(&found.token, job, &title(gateway, &job.report));
        }
        _ => return Err(gone(found)),
    };
    let artifact = &link.artifact;
    let principal = visitor.identity.as_ref().map(|identity| identity.principal.clone());
    let click =
        |kind| NewClick { kind, agent: agent::classify(request, pages.is_some()), principal: principal.clone() };
    if let Some(pages) = pages.filter(|_| !wants_file(request)) {
        let job = gateway.store.job_by_id(artifact.job_id).await?;
        let answer = pages.show(artifact, &title(gateway, &job.map(|job| job.report).unwrap_or_default()))?;
        record(gateway, hash, click(ClickKind::View)).await;
        return Ok(answer);
    }
    let grant = Grant::of_links([found.hash, hash]).and(visitor.demanded());
    let answer = answer_file(gateway, request, artifact, grant).await?;
    if fetches(request, &answer) {
        let who = Person { principal: click(ClickKind::Download).principal, ..sender() };
        let subject = format!("artifact:{}", artifact.id);
        let entry = NewAuditEntry::new(&link.tenant, AuditAct::LinkFollowed, subject, &who);
        note_read(gateway, entry.with(artifact.format.as_str())).await;
        record(gateway, hash, click(ClickKind::Download)).await;
    }
    Ok(answer)
}

/// Says why a program gets no file.
fn gone(found: &ResolvedLink) -> ApiError {
    let said = match &found.state {
        LinkState::Regenerating(_) => {
            "This link has expired, and its report is being made again. Try again in a while."
        }
        LinkState::Failed(_) => "This link has expired, and its report could not be made again. Ask for it anew.",
        _ => {
            "This link has expired and the file is no longer kept. Opened in a browser, it can be made again with one click."
        }
    };
    ApiError::new(ProblemKind::LinkExpired, said)
}

/// A log that cannot be written keeps nobody from their file.
async fn record(gateway: &Gateway, hash: [u8; 32], click: NewClick) {
    metrics::counter!("waitless_link_clicks_total", "kind" => click.kind.as_str(), "agent" => click.agent.as_str())
        .increment(1);
    if let Err(error) = gateway.store.record_click(hash, click).await {
        tracing::warn!(%error, "a click on a link was not counted");
    }
}

/// Who opens a link.
struct Visitor {
    /// Where they say who they are.
    identity: Option<Identity>,
    /// Whether the report demands that they do.
    must_be_known: bool,
}

impl Visitor {
    /// Returns who has to go on being let in, for the file to go on.
    fn demanded(self) -> Option<(Identity, Scope)> {
        self.identity.filter(|_| self.must_be_known).map(|identity| (identity, Scope::Read))
    }
}

/// Finds out who opens the link, where they say so, and lets them in: anybody, or whoever is signed in as somebody of the
/// tenant, where the report demands that.
async fn check_visitor(gateway: &Gateway, found: &ResolvedLink, request: &HttpRequest) -> Result<Visitor, ApiError> {
    let asked = gateway.authenticator.authenticate(request, &gateway.sessions, Scope::Read).await;
    if access(gateway, found).await? == LinkAccess::Anyone {
        let identity = asked.ok().filter(|visitor| visitor.tenant == found.link.tenant);
        return Ok(Visitor { identity, must_be_known: false });
    }
    match asked {
        Ok(visitor) if visitor.tenant == found.link.tenant && is_visible(gateway, &visitor, &found.job).await? => {
            Ok(Visitor { identity: Some(visitor), must_be_known: true })
        }
        Ok(_) => Err(ApiError::new(
            ProblemKind::Forbidden,
            "This link is for people of the organisation it was made for, and you are not known as one who may see it.",
        )),
        Err(error) if error.kind() == ProblemKind::Unauthorized && !request.headers().contains_key(AUTHORIZATION) => {
            Err(ApiError::new(
                ProblemKind::Unauthorized,
                "This link works for people who are signed in only. Send an API key.",
            ))
        }
        Err(error) => Err(error),
    }
}

/// The stricter of what the report says now and what it said when the job was submitted.
async fn access(gateway: &Gateway, found: &ResolvedLink) -> Result<LinkAccess, ApiError> {
    let now = gateway.catalogue.report(&found.job.report).map(|report| report.links);
    if now == Some(LinkAccess::Tenant) {
        return Ok(LinkAccess::Tenant);
    }
    let then = gateway.report_versions.find(&found.job.report_version).await?.map(|report| report.links);
    // Of a definition that nobody can read any more, nobody knows what it demanded.
    Ok(then.or(now).unwrap_or(LinkAccess::Tenant))
}

/// The report's title, or its name where it has left the catalogue.
fn title(gateway: &Gateway, name: &str) -> String {
    gateway.catalogue.report(name).map_or_else(|| name.to_owned(), |report| report.title.clone())
}

/// The button of the page asks so, and a download that goes on where it broke off.
fn wants_file(request: &HttpRequest) -> bool {
    let asked = request.query_string().split('&').any(|pair| pair.split('=').next() == Some(render::DOWNLOAD));
    asked || request.headers().contains_key(RANGE)
}

/// Browsers ask for HTML by name; programs do not.
pub(crate) fn wants_page(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}
