//! `POST /v1/ws/ticket`: what a page of another origin opens a WebSocket with.
//!
//! Browsers let pages set no header field of a WebSocket's handshake but its list of subprotocols. A key does not belong there,
//! and still less into an address, which ends up in logs: a ticket is good for half a minute, for a handshake and nothing else.

use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use configuration::Secrets;
use model::access::{Ticket, TicketHolder, open_ticket, seal_ticket};
use serde::Serialize;
use store::AccessToken;
use utoipa::ToSchema;

use std::sync::Arc;

use crate::auth::oidc::IssuedAccess;
use crate::auth::{Credential, Identity, Means, unauthorized};
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// The subprotocol that is spoken.
pub const PROTOCOL: &str = "waitless.v1";

/// The only route that takes tickets.
const ROUTE: &str = "/v1/ws";

/// What a ticket begins with when it is offered as a subprotocol.
const PREFIX: &str = "waitless.ticket.";

/// Seconds within which the handshake must come.
const TTL_SECONDS: i64 = 30;

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct TicketView {
    /// Subprotocols to offer, the ticket among them: `new WebSocket(url, protocols)`.
    protocols: [String; 2],
    /// When the ticket stops working.
    expires_at: DateTime<Utc>,
}

/// Makes a ticket that opens one or more WebSockets within half a minute, as whoever asks. The end of the key, of
/// the session or of the token is the ticket's and the connection's too.
#[utoipa::path(post, path = "/v1/ws/ticket", tag = "events",
    responses((status = 200, description = "A ticket", body = TicketView))
)]
pub async fn make(gateway: web::Data<Gateway>, identity: Identity) -> ApiResult {
    let until = Utc::now().timestamp() + TTL_SECONDS;
    let secret = gateway.link_secret.expose();
    let credential = identity.credential();
    let holder = match &credential.means {
        Means::Key => TicketHolder::Key(credential.key_hash().ok_or_else(unauthorized)?),
        Means::Session(session) => TicketHolder::Session(*session),
        Means::Token(token) => TicketHolder::Token(token.write(secret)),
        Means::Issued(access) => TicketHolder::Token(access.write(secret)),
    };
    let ticket = seal_ticket(secret, &Ticket { holder, until });
    let protocols = [PROTOCOL.to_owned(), format!("{PREFIX}{ticket}")];
    let expires_at = DateTime::from_timestamp(until, 0).unwrap_or_else(Utc::now);
    Ok(HttpResponse::Ok().json(TicketView { protocols, expires_at }))
}

/// Returns what the ticket that a handshake offers was asked for with.
#[must_use]
pub fn ticket_of(request: &HttpRequest, secrets: &Secrets) -> Option<Credential> {
    if request.match_pattern().as_deref() != Some(ROUTE) {
        return None;
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).filter_map(|value| value.to_str().ok());
    let mut tickets = offered.flat_map(|line| line.split(',')).filter_map(|name| name.trim().strip_prefix(PREFIX));
    let ticket = open_ticket(secrets.all(), tickets.next()?)?;
    if ticket.until <= Utc::now().timestamp() {
        return None;
    }
    Some(match ticket.holder {
        TicketHolder::Key(key_hash) => Credential::of_key(key_hash),
        TicketHolder::Session(session) => Credential::of_session(session),
        TicketHolder::Token(token) => match IssuedAccess::read(secrets.all(), &token) {
            Some(access) => Credential::of_issued(Arc::new(access)),
            None => Credential::of_token(AccessToken::read(secrets.all(), &token)?),
        },
    })
}
