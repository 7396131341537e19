//! Turns the code of a sign-in into tokens.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::under_way::UnderWay;
use crate::auth::oidc::{Discovery, Provider, SignInTokens, fetch};

/// Asks the provider for the tokens.
pub(super) async fn exchange(
    provider: &Provider,
    discovery: &Discovery,
    under_way: &UnderWay,
    code: &str,
    secret: &str,
) -> anyhow::Result<SignInTokens> {
    let settings = provider.settings();
    let endpoint = discovery.token_endpoint.as_deref().context("the provider has no token_endpoint")?;
    let client_id = settings.client_id.as_deref().unwrap_or_default();
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &under_way.redirect_uri)
        .append_pair("code_verifier", &under_way.verifier(secret));
    let mut request = provider.client().post(endpoint).header(ACCEPT, "application/json");
    let methods = &discovery.token_endpoint_auth_methods_supported;
    let knows = |method: &str| methods.iter().any(|known| known == method);
    match &settings.client_secret {
        // What a provider knows that says nothing of it.
        Some(client_secret) if methods.is_empty() || knows("client_secret_basic") => {
            let spell = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", spell(client_id), spell(client_secret.expose()));
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(both)));
        }
        Some(client_secret) => {
            form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.expose());
        }
        None => {
            form.append_pair("client_id", client_id);
        }
    }
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish());
    fetch(request).await
}
