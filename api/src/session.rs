// Over 300 lines: how cookies are given, opened and taken back is one subject, and what a session answers belongs to it.
//! `/v1/session`: a browser signs in with a key, or once with a link, and from then on sends a cookie that no script can read.
//!
//! The cookie holds no key: it is sealed, names the key by its hash, may do what the key may, and ends with it, or when somebody
//! signs out: the store remembers which sessions have ended. Three things
//! keep other sites from using it: it is `SameSite=Strict`, no answer ever allows credentials across origins, and whatever
//! changes something must come from a page of this gateway, as its `Origin` says.

mod sign_in_body;

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName, ORIGIN, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use configuration::{Secrets, Service};
use model::access::{Session, hash_token, make_once_token, open_session, seal_session};
use model::audit::AuditAct;
use model::problem::{ProblemKind, StoredProblem};
use moka::sync::Cache;
use serde::Serialize;
use store::{AccessToken, Scope, TokenBounds};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::{note, sender};
use crate::auth::{Credential, Identity, bearer, is_key_shaped, unauthorized};
use crate::body::read_json;
use crate::cache;
use crate::error::{ApiError, ApiResult};
use crate::gateway::Gateway;
use crate::own_address::OwnAddress;
use crate::watch::ticket::ticket_of;

pub use sign_in_body::{SignIn, SignInByKey, SignInByLink};

use sign_in_body::{Credentials, check};

/// A browser stays signed in this long after the console was last opened.
const TTL_SECONDS: i64 = 12 * 60 * 60;

/// A session older than this gets a new cookie when the console is opened.
const RENEWAL_AGE: i64 = 60 * 60;

/// A link that signs in once works this long.
const ONE_TIME_TTL: Duration = Duration::from_secs(60 * 60);

/// Links that sign in once and were not used; more than a few are never made.
const MAX_ONE_TIME_TOKENS: u64 = 100;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Opens and makes sessions.
#[derive(Debug)]
pub struct Sessions {
    secrets: Secrets,
    /// The name of the cookie that is given, then those that it had under the other secrets.
    cookies: Vec<String>,
    own_address: Arc<OwnAddress>,
    /// Hashes of keys, by the hash of the token that signs in with them once.
    one_time: Cache<[u8; 32], [u8; 32]>,
}

impl Sessions {
    /// Takes the secrets that seal.
    #[must_use]
    pub fn new(service: &Service, own_address: Arc<OwnAddress>) -> Self {
        // Cookies do not know ports: two gateways on one machine must not overwrite each other's.
        let mark = |secret| hash_token(secret).iter().take(4).map(|b| format!("{b:02x}")).collect::<String>();
        Self {
            cookies: service.link_secret.all().map(|secret| format!("waitless_{}", mark(secret))).collect(),
            secrets: service.link_secret.clone(),
            own_address,
            one_time: cache::bounded(MAX_ONE_TIME_TOKENS).time_to_live(ONE_TIME_TTL).build(),
        }
    }

    /// Allows one sign-in with this key, to whoever has the token.
    #[must_use]
    pub fn make_one_time_token(&self, key: &str) -> String {
        let token = make_once_token();
        self.one_time.insert(hash_token(&token), hash_token(key));
        token
    }

    /// Returns the session of the browser that sent this request, if it has one. Whether it has ended is for the store to say.
    ///
    /// # Errors
    /// `forbidden` when something is to be changed and the request does not come from a page of ours.
    pub fn of(&self, request: &HttpRequest) -> Result<Option<Session>, ApiError> {
        let lines = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
        // One by one: of cookies that are read together, a malformed one of another service on this host would spoil all.
        let cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| Cookie::parse(pair).ok());
        // Those of a name that only another gateway gives too: which secret comes first may differ while one takes another's place.
        let ours = cookies.filter(|cookie| self.cookies.iter().any(|name| name == cookie.name()));
        let sessions = ours.filter_map(|cookie| open_session(self.secrets.all(), cookie.value()));
        // Of two, the one that was given last: whoever signs in elsewhere means that.
        let session = sessions.max_by_key(|session| session.until);
        // What a WebSocket says is not kept from other origins by the browser.
        let reads = matches!(*request.method(), Method::GET | Method::HEAD) && !request.headers().contains_key(UPGRADE);
        if session.is_some() && !reads {
            self.refuse_cross_site(request, false)?;
        }
        Ok(session)
    }

    /// Returns the key or token that a request sends. Whatever is shaped like neither is not worth a question to the store.
    ///
    /// # Errors
    /// `unauthorized`.
    pub fn credential_sent(&self, request: &HttpRequest) -> Result<Credential, ApiError> {
        let sent = bearer(request)?;
        if is_key_shaped(sent) {
            return Ok(Credential::of_key(hash_token(sent)));
        }
        AccessToken::read(self.secrets.all(), sent).map(Credential::of_token).ok_or_else(unauthorized)
    }

    /// Returns what the ticket that opens this WebSocket was asked for with. It needs no look at the `Origin`: no browser sends it unless
    /// a page that holds it says so.
    #[must_use]
    pub fn ticket_of(&self, request: &HttpRequest) -> Option<Credential> {
        ticket_of(request, &self.secrets)
    }

    /// Browsers say where a request comes from; programs do not have to, unless a cookie speaks for them.
    pub(crate) fn refuse_cross_site(&self, request: &HttpRequest, programs_too: bool) -> Result<(), ApiError> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let from_here = match text(ORIGIN) {
            Some(origin) => {
                let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
                self.own_address.is_own(request, authority)
            }
            None => programs_too,
        };
        if from_here && text(SEC_FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none")) {
            return Ok(());
        }
        let detail = "This came from a page of another site. Send an API key instead: `Authorization: Bearer wl_…`.";
        Err(ApiError::new(ProblemKind::Forbidden, detail))
    }

    /// Takes the cookies back that other secrets gave names to.
    fn take_back<'t>(&'t self, request: &'t HttpRequest) -> impl Iterator<Item = Cookie<'t>> {
        let others = self.cookies.iter().skip(1).filter(|name| request.cookie(name).is_some());
        others.map(|name| {
            let mut cookie = self.make_cookie(request, "", 0);
            cookie.set_name(name.as_str());
            cookie
        })
    }

    fn make_cookie<'t>(&'t self, request: &HttpRequest, token: &'t str, seconds: i64) -> Cookie<'t> {
        // Other services on the host have no business with it. Whoever comes another way than by the public address, comes without
        // what that begins with.
        let name = self.cookies.first().map_or("waitless", String::as_str);
        Cookie::build(name, token)
            .path(self.own_address.path(request))
            .max_age(time::Duration::seconds(seconds))
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.own_address.is_https(request))
            .finish()
    }
}

/// Whether a browser is signed in, and as whom; or whose a key is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// When false, nothing else is told.
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
    /// Names what a token binds its holder to: the same for every token with the same reports and fixed parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    bounds: Option<String>,
    /// When it ends, unless the console is opened again before.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

impl SessionView {
    const NONE: Self =
        Self { signed_in: false, tenant: None, principal: None, scopes: None, bounds: None, expires_at: None };

    fn of(identity: &Identity, until: i64) -> Self {
        Self { expires_at: DateTime::from_timestamp(until, 0), ..Self::of_bearer(identity) }
    }

    fn of_bearer(identity: &Identity) -> Self {
        Self {
            signed_in: true,
            tenant: Some(identity.tenant.clone()),
            principal: Some(identity.principal.clone()),
            scopes: Some(identity.scopes().to_vec()),
            bounds: identity.bounds().map(TokenBounds::fingerprint),
            expires_at: identity.credential().token().map(|token| token.until),
        }
    }
}

/// Says whether this browser is signed in, and keeps it so. With a key or a token, says whose it is.
#[utoipa::path(get, path = "/v1/session", tag = "session", security(()),
    responses((status = 200, description = "Who this browser is signed in as, if anybody", body = SessionView))
)]
pub async fn read(gateway: web::Data<Gateway>, request: HttpRequest) -> ApiResult {
    if request.headers().contains_key(AUTHORIZATION) {
        let identity = gateway.authenticator.identify(gateway.sessions.credential_sent(&request)?).await?;
        return Ok(HttpResponse::Ok().json(SessionView::of_bearer(&identity)));
    }
    let Some(session) = gateway.sessions.of(&request)? else { return Ok(HttpResponse::Ok().json(SessionView::NONE)) };
    let identity = match gateway.authenticator.identify(Credential::of_session(session)).await {
        Ok(identity) => identity,
        Err(error) if error.kind() == ProblemKind::Unavailable => return Err(error),
        Err(_gone) => return Ok(HttpResponse::Ok().json(SessionView::NONE)),
    };
    if session.until - Utc::now().timestamp() > TTL_SECONDS - RENEWAL_AGE {
        return Ok(HttpResponse::Ok().json(SessionView::of(&identity, session.until)));
    }
    Ok(answer_session(&gateway, &request, &identity, session.id))
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
        Credentials::Once(token) => gateway.sessions.one_time.remove(&hash_token(token)).ok_or_else(|| {
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
    note(&gateway, &identity, AuditAct::SignIn, (format!("session:{id}"), String::new())).await?;
    if let Some(before) = gateway.sessions.of(&request)? {
        end_session(&gateway, before).await?;
    }
    Ok(answer_session(&gateway, &request, &identity, id))
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
        let subject = format!("session:{}", session.id);
        // Whose session is over already is not written down once more.
        if let Ok(identity) = gateway.authenticator.identify(Credential::of_session(session)).await {
            note(&gateway, &identity, AuditAct::SignOut, (subject, String::new())).await?;
        }
        end_session(&gateway, session).await?;
    }
    let mut answer = HttpResponse::NoContent();
    answer.cookie(gateway.sessions.make_cookie(&request, "", 0));
    for cookie in gateway.sessions.take_back(&request) {
        answer.cookie(cookie);
    }
    Ok(answer.finish())
}

/// Ends a session at every gateway: at once at this one, within seconds at the others.
async fn end_session(gateway: &Gateway, session: Session) -> Result<(), ApiError> {
    gateway.store.end_session(session.id).await?;
    gateway.authenticator.forget(&Credential::of_session(session));
    gateway.lifelines.look_now();
    Ok(())
}

fn answer_session(gateway: &Gateway, request: &HttpRequest, identity: &Identity, id: Uuid) -> HttpResponse {
    let sessions = &gateway.sessions;
    let until = Utc::now().timestamp() + TTL_SECONDS;
    let session = Session { id, key_hash: identity.credential().key_hash, until };
    let token = seal_session(sessions.secrets.expose(), session);
    let mut answer = HttpResponse::Ok();
    answer.cookie(sessions.make_cookie(request, &token, TTL_SECONDS));
    for cookie in sessions.take_back(request) {
        answer.cookie(cookie);
    }
    answer.json(SessionView::of(identity, until))
}

fn refused(gateway: &Gateway, detail: &str) -> ApiError {
    gateway.refusals.count(ProblemKind::Unauthorized, sender().address.as_deref());
    ApiError::new(ProblemKind::Unauthorized, detail)
}
