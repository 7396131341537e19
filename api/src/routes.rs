//! The routing table: every route, who may use it, and its handler, in one function.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, ALLOW, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _, Route, guard, web};
use futures_util::FutureExt as _;
use model::problem::ProblemKind;
use store::Scope;

use crate::auth::Access;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::trace::RouteName;
use crate::{
    admin, audit, console, jobs, links, operations, reports, schedules, service_status, session, tokens, usage, watch,
};

/// One route.
pub struct RouteEntry {
    /// The method it is documented under.
    pub method: Method,
    /// The methods it answers: most that `GET` also answer `HEAD`.
    allow: &'static str,
    /// With `{placeholders}`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Parameters that its query string may have.
    query: &'static [&'static str],
    route: Route,
}

impl std::fmt::Debug for RouteEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.path, self.access)
    }
}

impl RouteEntry {
    fn taking(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// Refuses parameters that nobody would look at. What leads from a mail or a page of another site may have any: mail programs and
    /// networks hang their own on it.
    fn check_query(path: &str, known: &[&str], request: &ServiceRequest) -> Result<(), ApiError> {
        if !path.starts_with("/v1/") {
            return Ok(());
        }
        let given = url::form_urlencoded::parse(request.query_string().as_bytes());
        let Some((unknown, _)) = given.into_iter().find(|(name, _)| !known.contains(&name.as_ref())) else {
            return Ok(());
        };
        let unknown: String = unknown.chars().take(100).collect();
        let there_are = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let detail = format!("`{unknown}` is not a parameter of this address; there are: {there_are}.");
        Err(ApiError::new(ProblemKind::InvalidQuery, detail))
    }
}

const READ: Access = Access::Needs(Scope::Read);
const WRITE: Access = Access::Needs(Scope::Write);
const MINT: Access = Access::Needs(Scope::Mint);
const ADMIN: Access = Access::Needs(Scope::Admin);
const BACKLOG: Access = Access::Needs(Scope::Backlog);

/// Returns every route of the API.
#[must_use]
pub fn table() -> Vec<RouteEntry> {
    vec![
        get("/v1/reports", READ, || web::to(reports::list)),
        get("/v1/reports/{name}", READ, || web::to(reports::read)),
        post("/v1/jobs", WRITE, || web::to(jobs::submit::submit)),
        get("/v1/jobs", READ, || web::to(jobs::list::list)).taking(&["state", "report", "limit", "cursor"]),
        get("/v1/jobs/{id}", READ, || web::to(jobs::read::read)),
        stream("/v1/jobs/{id}/events", READ, || web::to(jobs::watch::watch)),
        get("/v1/jobs/{id}/links", READ, || web::to(jobs::links::list)),
        get("/v1/jobs/{id}/preview", READ, || web::to(jobs::preview::preview)),
        post("/v1/jobs/{id}/cancel", WRITE, || web::to(jobs::cancel::cancel)),
        post("/v1/jobs/{id}/formats", WRITE, || web::to(jobs::formats::make)),
        post("/v1/jobs/{id}/replay", WRITE, || web::to(jobs::replay::replay)),
        get("/v1/jobs/{id}/artifacts/{format}", READ, || web::to(jobs::artifact::file)),
        get("/v1/jobs/{id}/artifacts/{format}/receipt", READ, || web::to(jobs::artifact::receipt)),
        post("/v1/jobs/{id}/artifacts/{format}/revoke-link", WRITE, || web::to(jobs::artifact::revoke_link)),
        post("/v1/schedules", WRITE, || web::to(schedules::create::create)),
        get("/v1/schedules", READ, || web::to(schedules::read::list)).taking(&["of", "limit", "cursor"]),
        post("/v1/schedules/preview", READ, || web::to(schedules::preview::preview)),
        get("/v1/schedules/upcoming", READ, || web::to(schedules::upcoming::list))
            .taking(&["from", "to", "zone", "of"]),
        get("/v1/schedules/{id}", READ, || web::to(schedules::read::read)),
        patch("/v1/schedules/{id}", WRITE, || web::to(schedules::change::change)),
        delete("/v1/schedules/{id}", WRITE, || web::to(schedules::delete::delete)),
        post("/v1/schedules/{id}/fire", WRITE, || web::to(schedules::fire::fire)),
        stream("/v1/events", READ, || web::to(watch::feed::watch)),
        stream("/v1/ws", READ, || web::to(watch::socket::open)).taking(&["job", "last_event_id"]),
        post("/v1/ws/ticket", READ, || web::to(watch::ticket::make)),
        get("/v1/usage", READ, || web::to(usage::read)),
        post("/v1/tokens", MINT, || web::to(tokens::mint::mint)),
        post("/v1/tokens/revoke", MINT, || web::to(tokens::revoke::revoke)),
        get("/v1/admin/queues", ADMIN, || web::to(admin::queues::list)),
        get("/v1/admin/pauses", ADMIN, || web::to(admin::pauses::list)),
        post("/v1/admin/pauses", ADMIN, || web::to(admin::pauses::pause)),
        delete("/v1/admin/pauses", ADMIN, || web::to(admin::pauses::resume)).taking(&["kind", "name"]),
        get("/v1/admin/backlog", BACKLOG, || web::to(admin::backlog::read)),
        get("/v1/admin/workers", ADMIN, || web::to(admin::workers::list)),
        get("/v1/admin/calibration", ADMIN, || web::to(admin::calibration::read)),
        get("/v1/admin/deliveries", ADMIN, || web::to(admin::deliveries::list)).taking(&["state", "job", "limit"]),
        post("/v1/admin/deliveries/send-again", ADMIN, || web::to(admin::send_again::send_again)),
        get("/v1/admin/dead-letters", ADMIN, || web::to(admin::dead_letters::list))
            .taking(&["state", "report", "limit", "cursor"]),
        post("/v1/admin/dead-letters/replay", ADMIN, || web::to(admin::dead_letters::replay_many)),
        post("/v1/admin/dead-letters/{id}/replay", ADMIN, || web::to(admin::dead_letters::replay_one)),
        get("/v1/admin/audit", ADMIN, || web::to(admin::audit::list)).taking(&["from", "limit", "cursor"]),
        get("/v1/session", Access::Public, || web::to(session::read)),
        post("/v1/session", Access::Public, || web::to(session::sign_in)),
        delete("/v1/session", Access::Public, || web::to(session::sign_out)),
        get("/d/{token}", Access::Public, || web::to(links::follow)),
        get("/d/{token}/status", Access::Public, || web::to(links::status)),
        post("/d/{token}/again", Access::Public, || web::to(links::again)),
        get("/livez", Access::Public, || web::to(operations::livez)),
        get("/readyz", Access::Public, || web::to(operations::readyz)),
        get("/openapi.json", Access::Public, || web::to(operations::openapi)),
        get("/asyncapi.json", Access::Public, || web::to(operations::asyncapi)),
    ]
}

/// Returns the pages for people and what they are made of. They hold no data: what is in them comes from the API.
#[must_use]
pub fn pages() -> Vec<RouteEntry> {
    let page = |path| get(path, Access::Public, || web::to(console::page));
    let paths = [
        "/",
        "/login",
        "/reports/{name}",
        "/jobs",
        "/jobs/{id}",
        "/schedules",
        "/schedules/{id}",
        "/schedules/{id}/edit",
        "/usage",
        "/operations",
        "/operations/{part}",
    ];
    let mut rows: Vec<RouteEntry> = paths.into_iter().map(page).collect();
    rows.push(get("/login/{issuer}", Access::Public, || web::to(session::begin_sign_in::begin)));
    // A code is good once: what looks at an address before its reader does must not use it up.
    rows.push(stream("/login/{issuer}/callback", Access::Public, || web::to(session::finish_sign_in::finish)));
    rows.push(get("/status", Access::Public, || web::to(service_status::page)));
    rows.push(get("/assets/{version}/{path:.*}", Access::Public, || web::to(console::asset)));
    rows.push(get("/widget.js", Access::Public, || web::to(console::widget)));
    rows
}

/// Registers the tables. What is not in them is answered with a problem.
pub fn register(app: &mut web::ServiceConfig) {
    let mut by_path: Vec<(&'static str, BTreeMap<&'static str, Route>)> = Vec::new();
    for row in table().into_iter().chain(pages()) {
        let guarded =
            row.route.wrap(from_fn(move |request, next| guard_route((row.path, row.access, row.query), request, next)));
        let place = by_path.iter().position(|(path, _)| *path == row.path).unwrap_or_else(|| {
            by_path.push((row.path, BTreeMap::new()));
            by_path.len() - 1
        });
        if let Some((_, methods)) = by_path.get_mut(place) {
            methods.insert(row.allow, guarded);
        }
    }
    for (path, methods) in by_path {
        let allow: Rc<str> = methods.keys().copied().collect::<Vec<_>>().join(", ").into();
        let resource = methods.into_values().fold(web::resource(path), actix_web::Resource::route);
        app.service(resource.default_service(web::to(move || refuse_method(allow.clone()))));
    }
    app.default_service(web::to(not_found));
}

fn get(path: &'static str, access: Access, handler: fn() -> Route) -> RouteEntry {
    let route = handler().guard(guard::Any(guard::Get()).or(guard::Head()));
    RouteEntry { method: Method::GET, allow: "GET, HEAD", path, access, query: &[], route }
}

/// An event stream: its answer to `HEAD` would have no end either, and nobody would notice the client leaving.
fn stream(path: &'static str, access: Access, handler: fn() -> Route) -> RouteEntry {
    RouteEntry { method: Method::GET, allow: "GET", path, access, query: &[], route: handler().guard(guard::Get()) }
}

fn post(path: &'static str, access: Access, handler: fn() -> Route) -> RouteEntry {
    RouteEntry { method: Method::POST, allow: "POST", path, access, query: &[], route: handler().guard(guard::Post()) }
}

fn patch(path: &'static str, access: Access, handler: fn() -> Route) -> RouteEntry {
    let route = handler().guard(guard::Patch());
    RouteEntry { method: Method::PATCH, allow: "PATCH", path, access, query: &[], route }
}

fn delete(path: &'static str, access: Access, handler: fn() -> Route) -> RouteEntry {
    RouteEntry {
        method: Method::DELETE,
        allow: "DELETE",
        path,
        access,
        query: &[],
        route: handler().guard(guard::Delete()),
    }
}

/// Lets a request reach its handler: who asks is known and may, and a panic costs only this request.
async fn guard_route(
    (path, access, query): (&'static str, Access, &'static [&'static str]),
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    request.extensions_mut().insert(RouteName(path));
    let mut who = audit::who_sends(request.request());
    if let Access::Needs(scope) = access {
        match authenticate(&request, scope).await {
            Ok(identity) => {
                who.principal = Some(identity.principal.clone());
                request.extensions_mut().insert(identity);
            }
            Err(error) => {
                audit::note_refusal(request.request(), error.kind(), &who);
                return Ok(respond_with_error(request.request().clone(), &error));
            }
        }
    }
    if let Err(error) = RouteEntry::check_query(path, query, &request) {
        return Ok(respond_with_error(request.request().clone(), &error));
    }
    let spare = request.request().clone();
    // Whatever this request changes in the store is written down for whoever sent it.
    let answering = store::audit::acting(who, async move { next.call(request).await });
    match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(answered) => Ok(answered?.map_into_boxed_body()),
        Err(_panic) => Ok(respond_with_error(spare, &ApiError::internal("answer a request", &"its handler panicked"))),
    }
}

async fn authenticate(request: &ServiceRequest, scope: Scope) -> Result<crate::auth::Identity, ApiError> {
    match request.app_data::<web::Data<Gateway>>() {
        Some(gateway) => gateway.authenticator.authenticate(request.request(), &gateway.sessions, scope).await,
        None => Err(ApiError::internal("find out who asks", &"the gateway is not registered")),
    }
}

fn respond_with_error(request: HttpRequest, error: &ApiError) -> ServiceResponse<BoxBody> {
    ServiceResponse::new(request, error.error_response())
}

async fn refuse_method(allow: Rc<str>) -> ApiResult {
    let detail = format!("This address takes {allow}.");
    let error = ApiError::new(ProblemKind::MethodNotAllowed, detail);
    Err(match HeaderValue::from_str(&allow) {
        Ok(value) => error.header(ALLOW, value),
        Err(_) => error,
    })
}

/// People get a page that says so, with the way back; programs the problem.
async fn not_found(request: HttpRequest) -> ApiResult {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if request.method() == Method::GET && accept.contains("text/html") {
        return Ok(console::not_found(&request));
    }
    Err(ApiError::new(ProblemKind::NotFound, "No route of this API has this address. GET /openapi.json lists them."))
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, HttpResponse};

    use super::*;

    async fn fall_over() -> HttpResponse {
        panic!("a planned panic with a secret in it")
    }

    #[actix_web::test]
    async fn a_panic_costs_its_request_only_and_tells_nothing() {
        let route = web::to(fall_over)
            .wrap(from_fn(|request, next| guard_route(("/panic", Access::Public, &[]), request, next)));
        let app = init_service(App::new().service(web::resource("/panic").route(route))).await;
        for _ in 0..2 {
            let answer = call_service(&app, TestRequest::get().uri("/panic").to_request()).await;
            assert_eq!(answer.status(), 500);
            let problem: serde_json::Value = read_body_json(answer).await;
            assert_eq!(problem["type"], "https://waitless.dev/problems/internal");
            assert!(!problem.to_string().contains("secret"));
        }
    }
}
