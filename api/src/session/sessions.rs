//! Cookies of browsers that signed in: opened, made, and kept from other sites.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::Method;
use actix_web::http::header::{COOKIE, HeaderName, ORIGIN, UPGRADE};
use configuration::{Secrets, Service};
use model::access::{hash_token, make_once_token, open_session, seal_session};
use model::problem::ProblemKind;
use moka::sync::Cache;
use store::AccessToken;

use crate::auth::oidc::{IssuedAccess, Issuers, is_token_shaped};
use crate::auth::{Credential, Means, bearer, is_key_shaped, unauthorized};
use crate::cache;
use crate::error::ApiError;
use crate::own_address::OwnAddress;
use crate::watch::ticket::ticket_of;

/// A link that signs in once works this long.
const ONE_TIME_TTL: Duration = Duration::from_secs(60 * 60);

/// Links that sign in once and were not used; more than a few are never made.
const MAX_ONE_TIME_TOKENS: u64 = 100;

/// Browsers keep no larger cookie, with its name and attributes.
const MAX_COOKIE: usize = 3_800;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Opens and makes sessions.
#[derive(Debug)]
pub struct Sessions {
    secrets: Secrets,
    /// The name of the cookie that is given, then those that it had under the other secrets.
    cookies: Vec<String>,
    own_address: Arc<OwnAddress>,
    issuers: Arc<Issuers>,
    /// Hashes of keys, by the hash of the token that signs in with them once.
    one_time: Cache<[u8; 32], [u8; 32]>,
}

impl Sessions {
    /// Takes the secrets that seal.
    #[must_use]
    pub fn new(service: &Service, own_address: Arc<OwnAddress>, issuers: Arc<Issuers>) -> Self {
        // Cookies do not know ports: two gateways on one machine must not overwrite each other's.
        let mark = |secret| hash_token(secret).iter().take(4).map(|b| format!("{b:02x}")).collect::<String>();
        Self {
            cookies: service.link_secret.all().map(|secret| format!("waitless_{}", mark(secret))).collect(),
            secrets: service.link_secret.clone(),
            own_address,
            issuers,
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

    /// Returns the key that a one-time token signs in with, for this once.
    pub(super) fn take_one_time(&self, token: &str) -> Option<[u8; 32]> {
        self.one_time.remove(&hash_token(token))
    }

    /// Returns the session of the browser that sent this request, if it has one. Whether it has ended is for the store to say.
    ///
    /// # Errors
    /// `forbidden` when something is to be changed and the request does not come from a page of ours.
    pub fn of(&self, request: &HttpRequest) -> Result<Option<Credential>, ApiError> {
        // Also those of a name that only another gateway gives: which secret comes first may differ while one takes another's place.
        let sessions =
            self.cookies.iter().filter_map(|name| find_cookie(request, name)).filter_map(|it| self.open(&it));
        // Of two, the one that is good for longest: whoever signs in elsewhere means that.
        let session = sessions.max_by_key(Credential::until);
        // What a WebSocket says is not kept from other origins by the browser.
        let reads = matches!(*request.method(), Method::GET | Method::HEAD) && !request.headers().contains_key(UPGRADE);
        if session.is_some() && !reads {
            self.refuse_cross_site(request, false)?;
        }
        Ok(session)
    }

    /// Reads a cookie. One that a provider let in by another mapping than today's is nobody's.
    fn open(&self, cookie: &str) -> Option<Credential> {
        if let Some(session) = open_session(self.secrets.all(), cookie) {
            return Some(Credential::of_session(session));
        }
        let access = IssuedAccess::read(self.secrets.all(), cookie).filter(|access| access.session)?;
        let provider = self.issuers.find(&access.issuer)?;
        (provider.mark() == access.mark).then(|| Credential::of_issued(Arc::new(access)))
    }

    /// Writes the cookie of a session. `None`: so much is said of somebody that no browser would keep it.
    pub(super) fn write(&self, session: &Means) -> Option<String> {
        let written = match session {
            Means::Session(session) => seal_session(self.secrets.expose(), *session),
            Means::Issued(access) => access.write(self.secrets.expose()),
            Means::Key | Means::Token(_) => return None,
        };
        (written.len() <= MAX_COOKIE).then_some(written)
    }

    /// Returns the key or token that a request sends. Whatever is shaped like neither is not worth a question to the store.
    ///
    /// # Errors
    /// `unauthorized`; of a provider's token also `forbidden` and `unavailable`.
    pub async fn credential_sent(&self, request: &HttpRequest) -> Result<Credential, ApiError> {
        let sent = bearer(request)?;
        if is_key_shaped(sent) {
            return Ok(Credential::of_key(hash_token(sent)));
        }
        if is_token_shaped(sent) {
            return self.issuers.read(sent).await.map(Credential::of_issued);
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
    pub(super) fn take_back<'t>(&'t self, request: &'t HttpRequest) -> impl Iterator<Item = Cookie<'t>> {
        let others = self.cookies.iter().skip(1).filter(|name| request.cookie(name).is_some());
        others.map(|name| {
            let mut cookie = self.make_cookie(request, "", 0);
            cookie.set_name(name.as_str());
            cookie
        })
    }

    pub(super) fn make_cookie<'t>(&'t self, request: &HttpRequest, token: &'t str, seconds: i64) -> Cookie<'t> {
        // Other services on the host have no business with it. Whoever comes another way than by the public address, comes without
        // what that begins with.
        Cookie::build(self.name(), token)
            .path(self.own_address.path(request))
            .max_age(time::Duration::seconds(seconds))
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.own_address.is_https(request))
            .finish()
    }

    /// Makes the cookie of a sign-in that is under way at a provider. The provider sends the browser back from its own site, so that it
    /// has to come along from there.
    pub(super) fn make_sign_in_cookie(
        &self,
        request: &HttpRequest,
        state: &str,
        value: String,
        seconds: i64,
    ) -> Cookie<'static> {
        let path = format!("{}/login", self.own_address.path(request).trim_end_matches('/'));
        Cookie::build(sign_in_cookie(self.name(), state), value)
            .path(path)
            .max_age(time::Duration::seconds(seconds))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.own_address.is_https(request))
            .finish()
    }

    /// Finds the cookie of a sign-in: each has its own, so that two tabs do not disturb each other.
    pub(super) fn find_sign_in(&self, request: &HttpRequest, state: &str) -> Option<String> {
        self.cookies.iter().find_map(|name| find_cookie(request, &sign_in_cookie(name, state)))
    }

    /// Returns the name of the cookie that is given.
    fn name(&self) -> &str {
        self.cookies.first().map_or("waitless", String::as_str)
    }

    /// Returns the secrets that sessions and sign-ins are sealed with.
    pub(super) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

fn sign_in_cookie(name: &str, state: &str) -> String {
    let mark: String = hash_token(state).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}_{mark}")
}

/// One by one: of cookies that are read together, a malformed one of another service on this host would spoil all.
fn find_cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let lines = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| Cookie::parse(pair).ok());
    cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}
