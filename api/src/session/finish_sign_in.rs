//! `GET /login/{issuer}/callback`: a browser comes back from an identity provider, with a code that becomes a session.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use model::audit::AuditAct;
use uuid::Uuid;

use super::begin_sign_in::{back, lead, parameter};
use super::exchange_code::exchange;
use super::under_way::UnderWay;
use crate::audit::{act_of, note_read};
use crate::auth::Credential;
use crate::auth::oidc::{IssuedAccess, Provider, TokenFault, plain};
use crate::console;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// What the provider sends along. Some send more.
#[derive(Debug)]
struct CodeAnswer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    /// Which provider it comes from.
    iss: Option<String>,
}

impl CodeAnswer {
    fn read(request: &HttpRequest) -> Self {
        let said = |name| parameter(request, name);
        Self { code: said("code"), state: said("state"), error: said("error"), iss: said("iss") }
    }
}

/// Why nobody is signed in: as the sign-in page knows it.
#[derive(Debug)]
enum SignInFailure {
    /// They said no, or the provider did.
    Denied,
    /// It was not begun by this browser, or too long ago.
    Expired,
    /// They are known there and may do nothing here.
    Refused,
    /// The provider cannot be reached.
    Unavailable,
    /// Anything else; the log says what.
    Failed(String),
}

impl SignInFailure {
    const fn word(&self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Failed(_) => "failed",
        }
    }
}

/// Signs a browser in.
///
/// # Errors
/// None: people are told by the sign-in page.
pub async fn finish(gateway: web::Data<Gateway>, issuer: web::Path<String>, request: HttpRequest) -> ApiResult {
    let answer = CodeAnswer::read(&request);
    let Some(provider) = gateway.issuers.find(&issuer) else { return Ok(console::not_found(&request)) };
    let state = answer.state.as_deref().unwrap_or_default();
    let sessions = &gateway.sessions;
    let under_way = sessions
        .find_sign_in(&request, state)
        .and_then(|cookie| UnderWay::read(sessions.secrets().all(), &cookie, provider.name(), state));
    let next = under_way.as_ref().map(|(under_way, _)| format!("/{}", under_way.next)).unwrap_or_default();
    let outcome = match under_way {
        Some((under_way, secret)) => sign_in(&gateway, provider, (&under_way, secret), &answer).await,
        None => Err(SignInFailure::Expired),
    };
    let word = outcome.as_ref().map_or_else(SignInFailure::word, |_| "signed-in");
    metrics::counter!("waitless_oidc_sign_ins_total", "issuer" => provider.name().to_owned(), "outcome" => word)
        .increment(1);
    let mut answered = match outcome {
        Ok((cookie, seconds)) => {
            let mut answered = lead(&place(&request, &next));
            let own = sessions.make_cookie(&request, &cookie, seconds);
            for cookie in std::iter::once(own).chain(sessions.take_back(&request)) {
                answered
                    .add_cookie(&cookie)
                    .map_err(|error| crate::error::ApiError::internal("set a cookie", &error))?;
            }
            answered
        }
        Err(failure) => {
            if let SignInFailure::Failed(why) = &failure {
                tracing::warn!(issuer = provider.name(), why, "somebody could not be signed in");
            }
            back(&request, failure.word(), &next)
        }
    };
    forget(&gateway, &request, state, &mut answered);
    Ok(answered)
}

/// The page behind a link asks for the cookie, which no browser sends on the way from another site: the sign-in page leads there.
fn place(request: &HttpRequest, next: &str) -> String {
    let root = console::root_of(request);
    if next.starts_with("/d/") {
        let asked = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        return format!("{root}login?{asked}");
    }
    format!("{root}{}", next.trim_start_matches('/'))
}

/// A code is good for one sign-in; so is what the browser kept.
fn forget(gateway: &Gateway, request: &HttpRequest, state: &str, answered: &mut HttpResponse) {
    let gone = gateway.sessions.make_sign_in_cookie(request, state, String::new(), 0);
    if answered.add_cookie(&gone).is_err() {
        tracing::debug!("the cookie of a sign-in stays until it is too old");
    }
}

/// Returns the session's cookie, and how many seconds it is good.
async fn sign_in(
    gateway: &Gateway,
    provider: &Provider,
    (under_way, secret): (&UnderWay, &str),
    answer: &CodeAnswer,
) -> Result<(String, i64), SignInFailure> {
    let discovery = provider.discovery().await.ok_or(SignInFailure::Unavailable)?;
    let says_so = discovery.authorization_response_iss_parameter_supported;
    if answer.iss.as_ref().map_or(says_so, |iss| *iss != provider.settings().issuer) {
        return Err(SignInFailure::Failed(
            "the answer comes from another provider than the one that was asked".to_owned(),
        ));
    }
    if let Some(error) = &answer.error {
        return Err(match error.as_str() {
            "access_denied" => SignInFailure::Denied,
            "temporarily_unavailable" | "server_error" => SignInFailure::Unavailable,
            other => SignInFailure::Failed(format!("the provider says {}", plain(other))),
        });
    }
    let code =
        answer.code.as_deref().ok_or_else(|| SignInFailure::Failed("there is neither code nor error".to_owned()))?;
    let tokens = exchange(provider, &discovery, under_way, code, secret)
        .await
        .map_err(|error| SignInFailure::Failed(format!("the code did not become tokens: {error:#}")))?;
    let now = gateway.store.now().await.map_err(|_| SignInFailure::Unavailable)?;
    let said = gateway.issuers.read_sign_in(provider, &tokens, &under_way.nonce(secret), now).await;
    let said = said.map_err(|fault| match fault {
        TokenFault::Unmapped(why) => {
            tracing::info!(issuer = provider.name(), why, "somebody may not sign in");
            SignInFailure::Refused
        }
        TokenFault::Unavailable => SignInFailure::Unavailable,
        other => SignInFailure::Failed(format!("what the provider sent is not good: {}", other.problem().detail)),
    })?;
    let lasts = provider.settings().session_ttl;
    let (id, until) = (Uuid::new_v4(), now + lasts);
    let access = IssuedAccess { id, session: true, issued_at: now, not_before: now, until, ..said };
    let credential = Credential::of_issued(Arc::new(access));
    let identity = gateway.authenticator.identify(credential).await.map_err(|_| SignInFailure::Unavailable)?;
    let cookie = gateway.sessions.write(&identity.credential().means);
    let cookie = cookie
        .ok_or_else(|| SignInFailure::Failed("so much is said of somebody that no cookie holds it".to_owned()))?;
    tracing::info!(
        tenant = identity.tenant,
        principal = identity.principal,
        issuer = provider.name(),
        "a browser signed in"
    );
    let subject = format!("session:{id}");
    note_read(gateway, act_of(&identity, AuditAct::SignIn, (subject, format!("by {}", provider.name())))).await;
    if let Some(before) = under_way.before {
        gateway.store.end_session(before).await.map_err(|_| SignInFailure::Unavailable)?;
        gateway.lifelines.look_now();
    }
    Ok((cookie, lasts.as_secs().try_into().unwrap_or(i64::MAX)))
}
