//! `GET /d/{token}`: the link in the mail. It works any number of times, so that mail scanners do not use it up.

use actix_web::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use shared::access::hash_token;
use shared::artifact::Artifact;
use shared::problem::{ProblemKind, StoredProblem};

use crate::download::answer_file;
use crate::gateway::Gateway;
use crate::problem::{Answer, Fault};

/// Follows a link to its file; signed anew at each click.
#[utoipa::path(get, path = "/d/{token}", tag = "links", security(()),
    params(("token" = String, Path, description = "From the mail, or from `link` of an artifact")),
    responses(
        (status = 200, description = "The file"),
        (status = 302, description = "The file is at `Location`, for a few minutes"),
        (status = 404, description = "link-not-found", body = StoredProblem),
        (status = 410, description = "link-expired, link-revoked, artifact-expired", body = StoredProblem),
    )
)]
pub async fn follow(gateway: web::Data<Gateway>, token: web::Path<String>, request: HttpRequest) -> Answer {
    let answer = match open(&gateway, &token).await {
        Ok(artifact) => answer_file(&gateway, &request, &artifact).await,
        Err(fault) => Err(fault),
    };
    match answer {
        Err(fault) if wants_page(&request) => Ok(page(&fault)),
        answer => answer,
    }
}

async fn open(gateway: &Gateway, token: &str) -> Result<Artifact, Fault> {
    let link = gateway.store.open_link(hash_token(token)).await?.ok_or_else(|| {
        Fault::new(
            ProblemKind::LinkNotFound,
            "This link leads nowhere. Make sure that the whole address from the mail was copied.",
        )
    })?;
    if link.revoked_at.is_some() {
        return Err(Fault::new(ProblemKind::LinkRevoked, "The sender has revoked this link. Ask them for the report."));
    }
    if link.expired {
        return Err(Fault::new(
            ProblemKind::LinkExpired,
            "This link has expired and the file is no longer kept. Ask for the report to be made again.",
        ));
    }
    Ok(link.artifact)
}

/// Browsers ask for HTML by name; programs do not.
fn wants_page(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// Tells a person what is wrong. Every word of it is ours, so that there is nothing to escape.
fn page(fault: &Fault) -> HttpResponse {
    let (_, title, _) = fault.kind().describe();
    let detail = fault.detail();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}\
         </style></head><body><h1>{title}</h1><p>{detail}</p></body></html>\n"
    );
    let mut answer = fault.error_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    );
    answer.set_body(page).map_into_boxed_body()
}
