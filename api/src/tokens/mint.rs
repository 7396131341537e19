//! `POST /v1/tokens`: a token for a browser, so that no page ever holds an API key.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use model::audit::{AuditAct, NewAuditEntry};
use model::job::Caller;
use model::problem::{FieldError, Problem, StoredProblem};
use serde::Serialize;
use store::{AccessToken, MAX_TOKEN, Scope};
use utoipa::ToSchema;
use uuid::Uuid;

use super::check_mint::{MintBody, check_mint};
use crate::audit::sender;
use crate::auth::{Identity, unauthorized};
use crate::body::read_json;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// A token. It is told this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// To send as `Authorization: Bearer wt_…`.
    token: String,
    /// To revoke it by.
    id: Uuid,
    /// Whose jobs it sees.
    principal: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// When it stops working.
    expires_at: DateTime<Utc>,
    /// Seconds until then.
    expires_in: u64,
}

/// Mints a token for one person of the tenant: for an hour at most, never for more than the key may, and ended with it. Nothing is
/// kept of it here. It is signed, not sealed: its holder can read what is in it.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = MintBody,
    responses(
        (status = 201, description = "The token", body = TokenView),
        (status = 400, description = "invalid-body", body = StoredProblem),
        (status = 404, description = "report-not-found", body = StoredProblem),
        (status = 413, description = "body-too-large", body = StoredProblem),
        (status = 415, description = "unsupported-media-type", body = StoredProblem),
        (status = 422, description = "validation-failed", body = StoredProblem),
    )
)]
pub async fn mint(
    gateway: web::Data<Gateway>,
    identity: Identity,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let body = read_json(&request, payload, gateway.http.max_body.0).await?;
    let asked = check_mint(&gateway, &identity, body)?;
    // What is minted ends with its key.
    let key_hash = identity.credential().key_hash().ok_or_else(unauthorized)?;
    // By the database's clock, which says when it is over and what was revoked before.
    let minted_at = gateway.store.now().await?;
    let token = AccessToken {
        id: Uuid::now_v7(),
        key_hash,
        caller: Caller { tenant: identity.tenant.clone(), principal: asked.principal },
        scopes: asked.scopes,
        minted_at,
        until: minted_at + asked.valid_for,
        bounds: asked.bounds,
    };
    let written = token.write(gateway.link_secret.expose());
    if written.len() > MAX_TOKEN {
        let detail =
            format!("would make a token of {} characters; at most {MAX_TOKEN} fit: name less in it", written.len());
        return Err(Problem::invalid(vec![FieldError { pointer: String::new(), detail }]).into());
    }
    let by = NewAuditEntry::new(&identity.tenant, AuditAct::TokenMinted, format!("token:{}", token.id), &sender());
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    gateway.store.note(vec![by.with(scopes.join(" ")).about(&token.caller.principal)]).await?;
    metrics::counter!("waitless_tokens_minted_total").increment(1);
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(TokenView {
        token: written,
        id: token.id,
        principal: token.caller.principal,
        scopes: token.scopes,
        expires_at: token.until,
        expires_in: asked.valid_for.as_secs(),
    }))
}
