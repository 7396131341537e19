//! `GET /login/{issuer}`: sends a browser to sign in at an identity provider.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use super::under_way::{TTL_SECONDS, UnderWay};
use crate::auth::Means;
use crate::auth::oidc::Provider;
use crate::console;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// Sends a browser to the provider. `next` says where they want to go afterwards.
///
/// # Errors
/// None: people are told by the sign-in page.
pub async fn begin(gateway: web::Data<Gateway>, issuer: web::Path<String>, request: HttpRequest) -> ApiResult {
    let next = parameter(&request, "next").unwrap_or_default();
    let provider = gateway.issuers.find(&issuer);
    let Some((provider, client_id)) =
        provider.and_then(|provider| Some((provider, provider.settings().client_id.as_ref()?)))
    else {
        return Ok(console::not_found(&request));
    };
    let endpoint =
        provider.discovery().await.and_then(|found| found.authorization_endpoint.clone()?.parse::<Url>().ok());
    let Some(mut url) = endpoint else { return Ok(back(&request, "unavailable", &next)) };
    // The answer comes from another site, without the session: which one ends is kept from now.
    let before = gateway.sessions.of(&request).ok().flatten().and_then(|session| match &session.means {
        Means::Session(session) => Some(session.id),
        Means::Issued(access) => Some(access.id),
        Means::Key | Means::Token(_) => None,
    });
    let redirect_uri = format!("{}/login/{}/callback", gateway.own_address.base(&request), provider.name());
    let under_way = UnderWay::begin(provider.name(), redirect_uri, &next, before);
    add_question(&mut url, provider, client_id, &under_way, gateway.sessions.secrets().expose());
    let cookie = under_way.write(gateway.sessions.secrets().expose());
    let cookie = gateway.sessions.make_sign_in_cookie(&request, &under_way.state, cookie, TTL_SECONDS);
    Ok(HttpResponse::Found()
        .insert_header((LOCATION, url.as_str()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .cookie(cookie)
        .finish())
}

fn add_question(url: &mut Url, provider: &Provider, client_id: &str, under_way: &UnderWay, secret: &str) {
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", &under_way.redirect_uri)
        .append_pair("scope", &provider.settings().sign_in_scopes.join(" "))
        .append_pair("state", &under_way.state)
        .append_pair("nonce", &under_way.nonce(secret))
        .append_pair("code_challenge", &under_way.challenge(secret))
        .append_pair("code_challenge_method", "S256");
}

/// Returns a parameter of the address: the first one of its name, whatever else others add to it.
pub(super) fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    parse(request.query_string().as_bytes()).find(|(is, _)| is == name).map(|(_, value)| value.into_owned())
}

/// Leads back to the sign-in page, which says what went wrong. `next` is a path or what is left of one.
pub(super) fn back(request: &HttpRequest, why: &str, next: &str) -> HttpResponse {
    let asked = Serializer::new(String::new()).append_pair("failed", why).append_pair("next", next).finish();
    lead(&format!("{}login?{asked}", console::root_of(request)))
}

/// Leads somewhere else within this service.
pub(super) fn lead(place: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, place)).insert_header((CACHE_CONTROL, "no-store")).finish()
}
