//! The console and the widget: static files, kept in the binary.
//!
//! Files stand under `/assets/<version>/`, where the version is a hash over all of them, so that browsers may keep them for
//! ever and a page never mixes two versions. The pages themselves and the widget are asked for again each time.
//!
//! A proxy may serve all of it under a prefix that is not known here, so that every address in a page is relative to the page's own.

mod files;
mod pack_scripts;

use actix_web::body::MessageBody;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse, web};
use model::problem::ProblemKind;

use crate::error::{ApiError, ApiResult};

pub(crate) use files::asset_path;
use files::{CONSOLE, FILES, WIDGET_SCRIPT};

/// Only what this gateway serves is loaded, and only this gateway is talked to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Answers every address of the console with its page; what to show stands in the address.
///
/// # Errors
/// None.
pub async fn page(request: HttpRequest) -> ApiResult {
    let (html, tag) = CONSOLE.at(root_of(&request));
    let mut answer = answer_text(&request, &tag, "text/html; charset=utf-8", html);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(answer)
}

/// Returns the way from the address of a request to the root of the service: `./`, `../`, `../../`…
pub(crate) fn root_of(request: &HttpRequest) -> &'static str {
    const WAY: &str = "../../../../../../../../";
    let depth = request.uri().path().matches('/').count().saturating_sub(1);
    if depth == 0 { "./" } else { WAY.get(..3 * depth).unwrap_or(WAY) }
}

/// Answers a person whose address leads nowhere: the console says so.
pub(crate) fn not_found(request: &HttpRequest) -> HttpResponse {
    let mut answer = HttpResponse::NotFound();
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).insert_header((CACHE_CONTROL, "no-cache"));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    answer.body(CONSOLE.at(root_of(request)).0)
}

/// Answers a file of the console. A page of another version gets this one's, and does not keep it.
///
/// # Errors
/// `not-found`.
pub async fn asset(path: web::Path<(String, String)>, request: HttpRequest) -> ApiResult {
    let (version, path) = path.into_inner();
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == path) else {
        return Err(ApiError::new(ProblemKind::NotFound, "The console has no such file. Load the page again."));
    };
    let mut answer = answer_text(&request, &format!("\"{}\"", CONSOLE.version), media_type(&path), text.as_str());
    // The widget loads some of them on pages of other origins.
    open_to_all(&mut answer);
    if version == CONSOLE.version {
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    Ok(answer)
}

/// Answers the widget, to pages of any origin.
///
/// # Errors
/// None.
pub async fn widget(request: HttpRequest) -> ApiResult {
    let (script, tag) = &*WIDGET_SCRIPT;
    let mut answer = answer_text(&request, tag, media_type("widget.js"), script.as_str());
    open_to_all(&mut answer);
    Ok(answer)
}

fn open_to_all(answer: &mut HttpResponse) {
    for (name, value) in
        [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

fn answer_text(
    request: &HttpRequest,
    tag: &str,
    media_type: &'static str,
    text: impl MessageBody + 'static,
) -> HttpResponse {
    let given = request.headers().get(IF_NONE_MATCH).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let known = given.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Asked for again each time, and mostly answered with `304`.
    answer.insert_header((ETAG, tag.to_owned())).insert_header((CACHE_CONTROL, "no-cache"));
    if known { answer.finish() } else { answer.insert_header((CONTENT_TYPE, media_type)).body(text) }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
