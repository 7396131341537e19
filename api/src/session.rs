// Over 300 lines: how cookies are given, opened and taken back is one subject, and what a session answers belongs to it.
//! `/v1/session`: a browser signs in with a key, or once with a link, and from then on sends a cookie that no script can read.
//!
//! The cookie holds no key: it is sealed, names the key by its hash, may do what the key may, and ends with it, or when somebody
//! signs out: the store remembers which sessions have ended. Whoever signs in at an identity provider (`begin_sign_in`,
//! `finish_sign_in`) gets one that holds what the provider said of them, for as long as is configured. Three things
//! keep other sites from using it: it is `SameSite=Strict`, no answer ever allows credentials across origins, and whatever
//! changes something must come from a page of this gateway, as its `Origin` says.

pub mod begin_sign_in;
mod exchange_code;
pub mod finish_sign_in;
mod sessions;
mod sign_in_body;
mod under_way;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::access::{Session, hash_token};
use model::audit::AuditAct;
use model::problem::{ProblemKind, StoredProblem};
use serde::Serialize;
use store::Scope;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::{act_of, note, note_read, sender};
use crate::auth::{Credential, Identity, Means, is_key_shaped};
use crate::body::read_json;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;

pub use sessions::Sessions;
pub use sign_in_body::{SignIn, SignInByKey, SignInByLink};

use sign_in_body::{Credentials, check};

/// A browser stays signed in this long after the console was last opened.
const TTL_SECONDS: i64 = 12 * 60 * 60;

/// A session older than this gets a new cookie when the console is opened.
const RENEWAL_AGE: i64 = 60 * 60;

/// Whether a browser is signed in, and as whom; or whose a key is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// When false, nothing else is told but `providers`.
    signed_in: bool,
    /// Whose data it sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Whose jobs it sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    /// `read`, `write`, `admin`, `backlog`, `mint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
    /// Names what a token and roles bind them to: the same for all with the same reports, fixed parameters and roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    bounds: Option<String>,
    /// When it ends; of a session that was opened with a key: unless the console is opened again before.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// Where people may sign in, beside keys; told to whoever is not signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<SignInProvider>>,
}

/// An identity provider where people may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInProvider {
    /// Stands in the address that leads there: `/login/{name}`.
    name: String,
    /// For people.
    title: String,
}

impl SessionView {
    fn of_nobody(gateway: &Gateway) -> Self {
        let open = gateway.issuers.iter().filter(|provider| provider.settings().client_id.is_some());
        let providers = open.map(|provider| SignInProvider {
            name: provider.name().to_owned(),
            title: provider.settings().title.clone(),
        });
        Self {
            signed_in: false,
            tenant: None,
            principal: None,
            scopes: None,
            bounds: None,
            expires_at: None,
            providers: Some(providers.collect()).filter(|all: &Vec<_>| !all.is_empty()),
        }
    }

    fn of(identity: &Identity) -> Self {
        Self {
            signed_in: true,
            tenant: Some(identity.tenant.clone()),
            principal: Some(identity.principal.clone()),
            scopes: Some(identity.scopes().to_vec()),
            bounds: identity.view_fingerprint(),
            expires_at: identity.credential().until(),
            providers: None,
        }
    }
}

/// Says whether this browser is signed in, and keeps it so. With a key or a token, says whose it is.
#[utoipa::path(get, path = "/v1/session", tag = "session", security(()),
    responses((status = 200, description = "Who this browser is signed in as, if anybody", body = SessionView))
)]
pub async fn read(gateway: web::Data<Gateway>, request: HttpRequest) -> ApiResult {
    if request.headers().contains_key(AUTHORIZATION) {
        let identity = gateway.authenticator.identify(gateway.sessions.credential_sent(&request).await?).await?;
        return Ok(HttpResponse::Ok().json(SessionView::of(&identity)));
    }
    let nobody = || Ok(HttpResponse::Ok().json(SessionView::of_nobody(&gateway)));
    let Some(session) = gateway.sessions.of(&request)? else { return nobody() };
    let identity = match gateway.authenticator.identify(session.clone()).await {
        Ok(identity) => identity,
        Err(error) if error.kind() == ProblemKind::Unavailable => return Err(error),
        Err(_gone) => return nobody(),
    };
    match session.means {
        Means::Session(session) if session.until - Utc::now().timestamp() <= TTL_SECONDS - RENEWAL_AGE => {
            open_by_key(&gateway, &request, session.key_hash, session.id).await
        }
        // What a provider said is not renewed: it may say otherwise by now.
        _ => Ok(HttpResponse::Ok().json(SessionView::of(&identity))),
    }
}

/// Signs a browser in: the answer sets a cookie that scripts cannot read and other sites cannot use.
#[utoipa::path(post, path = "/v1/session", tag = "session", security(()), request_body = SignIn,
    responses(
        (status = 200, description = "Signed in", body = SessionView),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 401, description = "unauthorized, key-expired", body = StoredProblem),
        (status = 403, description = "forbidden: from another site's page", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn sign_in(gateway: web::Data<Gateway>, request: HttpRequest, payload: web::Payload) -> ApiResult {
    gateway.sessions.refuse_cross_site(&request, true)?;
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let key_hash = match check(&body)? {
        Credentials::Key(key) if is_key_shaped(key) => hash_token(key),
        Credentials::Key(_) => {
            return Err(refused(&gateway, "This is not an API key; keys begin with `wl_`."));
        }
        Credentials::Once(token) => gateway.sessions.take_one_time(token).ok_or_else(|| {
            refused(&gateway, "This link was used before, or is more than an hour old. Sign in with the API key.")
        })?,
    };
    let identity = match gateway.authenticator.identify(Credential::of_key(key_hash)).await {
        Err(error) if error.kind() == ProblemKind::Unauthorized => {
            return Err(refused(&gateway, "This API key does not open anything. Check it, or ask for a new one."));
        }
        found => found?,
    };
    tracing::info!(tenant = identity.tenant, principal = identity.principal, "a browser signed in");
    let id = Uuid::new_v4();
    note_read(&gateway, act_of(&identity, AuditAct::SignIn, (format!("session:{id}"), String::new()))).await;
    if let Some(before) = gateway.sessions.of(&request)? {
        end_session(&gateway, &before).await?;
    }
    open_by_key(&gateway, &request, key_hash, id).await
}

/// Signs this browser out: its session ends at every gateway, with all that was opened in it.
#[utoipa::path(delete, path = "/v1/session", tag = "session", security(()),
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "forbidden: from another site's page", body = StoredProblem),
        (status = 503, description = "unavailable: the session goes on; ask again", body = StoredProblem),
    )
)]
pub async fn sign_out(gateway: web::Data<Gateway>, request: HttpRequest) -> ApiResult {
    gateway.sessions.refuse_cross_site(&request, true)?;
    if let Some(session) = gateway.sessions.of(&request)? {
        // Whose session is over already is not written down once more.
        if let Ok(identity) = gateway.authenticator.identify(session.clone()).await {
            note(&gateway, &identity, AuditAct::SignOut, (session_subject(&session), String::new())).await?;
        }
        end_session(&gateway, &session).await?;
    }
    let mut answer = HttpResponse::NoContent();
    answer.cookie(gateway.sessions.make_cookie(&request, "", 0));
    for cookie in gateway.sessions.take_back(&request) {
        answer.cookie(cookie);
    }
    Ok(answer.finish())
}

/// Ends a session at every gateway: at once at this one, within seconds at the others.
async fn end_session(gateway: &Gateway, session: &Credential) -> Result<(), ApiError> {
    let id = match &session.means {
        Means::Session(session) => session.id,
        Means::Issued(access) => access.id,
        Means::Key | Means::Token(_) => return Ok(()),
    };
    gateway.store.end_session(id).await?;
    gateway.authenticator.forget(session);
    gateway.lifelines.look_now();
    Ok(())
}

/// Names a session in the audit log.
fn session_subject(session: &Credential) -> String {
    let id = match &session.means {
        Means::Session(session) => Some(session.id),
        Means::Issued(access) => Some(access.id),
        Means::Key | Means::Token(_) => None,
    };
    id.map_or_else(String::new, |id| format!("session:{id}"))
}

async fn open_by_key(gateway: &Gateway, request: &HttpRequest, key_hash: [u8; 32], id: Uuid) -> ApiResult {
    let until = Utc::now().timestamp() + TTL_SECONDS;
    let credential = Credential::of_session(Session { id, key_hash, until });
    let cookie = gateway.sessions.write(&credential.means).unwrap_or_default();
    let identity = gateway.authenticator.identify(credential).await?;
    let mut answer = HttpResponse::Ok();
    answer.cookie(gateway.sessions.make_cookie(request, &cookie, TTL_SECONDS));
    for cookie in gateway.sessions.take_back(request) {
        answer.cookie(cookie);
    }
    Ok(answer.json(SessionView::of(&identity)))
}

fn refused(gateway: &Gateway, detail: &str) -> ApiError {
    gateway.refusals.count(ProblemKind::Unauthorized, sender().address.as_deref());
    ApiError::new(ProblemKind::Unauthorized, detail)
}
