//! `GET /d/{token}`: the link in the mail. It works any number of times, so that mail scanners do not use it up.

mod page;

use actix_web::http::header::{ACCEPT, RANGE};
use actix_web::{HttpRequest, web};
use shared::access::hash_token;
use shared::artifact::{Artifact, Link};
use shared::problem::{ProblemKind, StoredProblem};

use crate::download::answer_file;
use crate::gateway::Gateway;
use crate::problem::{Answer, Fault};

/// Follows a link to its file; signed anew at each click. Browsers get a page with a button first.
#[utoipa::path(get, path = "/d/{token}", tag = "links", security(()),
    params(
        ("token" = String, Path, description = "From the mail, or from `link` of an artifact"),
        ("download" = Option<String>, Query, description = "The file itself, also for a browser"),
    ),
    responses(
        (status = 200, description = "The file; a page about it where `Accept` names HTML"),
        (status = 302, description = "The file is at `Location`, for a few minutes"),
        (status = 404, description = "link-not-found", body = StoredProblem),
        (status = 410, description = "link-expired, link-revoked, artifact-expired", body = StoredProblem),
    )
)]
pub async fn follow(gateway: web::Data<Gateway>, token: web::Path<String>, request: HttpRequest) -> Answer {
    let person = wants_page(&request);
    let (answer, job) = match find(&gateway, &token).await {
        Ok(link) => (open(&gateway, &link, person, &request).await, Some(link.artifact.job_id)),
        Err(fault) => (Err(fault), None),
    };
    match answer {
        Err(fault) if person => Ok(page::refuse(&fault, job)),
        answer => answer,
    }
}

async fn find(gateway: &Gateway, token: &str) -> Result<Link, Fault> {
    gateway.store.open_link(hash_token(token)).await?.ok_or_else(|| {
        Fault::new(
            ProblemKind::LinkNotFound,
            "This link leads nowhere. Make sure that the whole address from the mail was copied.",
        )
    })
}

async fn open(gateway: &Gateway, link: &Link, person: bool, request: &HttpRequest) -> Answer {
    if link.revoked_at.is_some() {
        return Err(Fault::new(ProblemKind::LinkRevoked, "The sender has revoked this link. Ask them for the report."));
    }
    if link.expired {
        return Err(Fault::new(
            ProblemKind::LinkExpired,
            "This link has expired and the file is no longer kept. Ask for the report to be made again.",
        ));
    }
    if person && !wants_file(request) {
        return show(gateway, &link.artifact).await;
    }
    answer_file(gateway, request, &link.artifact).await
}

async fn show(gateway: &Gateway, artifact: &Artifact) -> Answer {
    let job = gateway.store.job_by_id(artifact.job_id).await?;
    let name = job.map(|job| job.report).unwrap_or_default();
    let title = gateway.catalogue.report(&name).map(|report| report.title.clone());
    Ok(page::show(artifact, &title.unwrap_or(name)))
}

/// The button of the page asks so, and a download that goes on where it broke off.
fn wants_file(request: &HttpRequest) -> bool {
    let asked = request.query_string().split('&').any(|pair| pair.split('=').next() == Some(page::DOWNLOAD));
    asked || request.headers().contains_key(RANGE)
}

/// Browsers ask for HTML by name; programs do not.
fn wants_page(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}
