//! What the gateway writes into the audit log: who sends a request, what no transaction of the store is about, and credentials that
//! open nothing.
//!
//! The store writes down by itself what it changes for whoever sent a request ([`store::audit::acting`]).

mod refusals;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use actix_web::web;
use model::audit::{AuditAct, NewAuditEntry, Person};
use model::job::Caller;
use model::problem::ProblemKind;

use crate::error::ApiError;
use crate::gateway::Gateway;

pub use refusals::Refusals;

/// Says from where a request comes, and by what program. Who sends it is not known yet.
pub(crate) fn who_sends(request: &HttpRequest) -> Person {
    let gateway = request.app_data::<web::Data<Gateway>>();
    let address = gateway.and_then(|gateway| gateway.own_address.client(request));
    let agent = request.headers().get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    Person {
        principal: None,
        address: address.map(|address| address.to_string()),
        agent: agent.map(|agent| Person::cut_agent(&agent)),
    }
}

/// Writes down what the sender of this request did, as `caller`: before they are answered.
///
/// # Errors
/// The store's: what cannot be written down is not done.
pub(crate) async fn note(
    gateway: &Gateway,
    caller: &Caller,
    act: AuditAct,
    said: (String, String),
) -> Result<(), ApiError> {
    gateway.store.note(vec![act_of(caller, act, said)]).await?;
    Ok(())
}

/// Writes down what somebody reads. A database that takes no writes keeps nobody from that: what the audit log lacks then, the log of this
/// process has.
pub(crate) async fn note_read(gateway: &Gateway, entry: NewAuditEntry) {
    if let Err(error) = gateway.store.note(vec![entry.clone()]).await {
        metrics::counter!("waitless_audit_unwritten_total").increment(1);
        let NewAuditEntry { act, subject, detail, tenant, who, .. } = entry;
        tracing::error!(act, subject, said = detail, tenant, who = who.principal, address = who.address, %error, "an act is not in the audit log");
    }
}

/// Says what `caller` does, who sends this request.
pub(crate) fn act_of(caller: &Caller, act: AuditAct, (subject, detail): (String, String)) -> NewAuditEntry {
    let who = Person { principal: Some(caller.principal.clone()), ..sender() };
    NewAuditEntry::new(&caller.tenant, act, subject, &who).with(detail)
}

/// Returns the sender of the request that the current task answers.
pub(crate) fn sender() -> Person {
    store::audit::actor().map_or_else(Person::default, |actor| Person::clone(&actor))
}

/// Counts a credential that was sent and refused. Who sends none was not refused.
pub(crate) fn note_refusal(request: &HttpRequest, kind: ProblemKind, who: &Person) {
    let sent = request.headers().contains_key(AUTHORIZATION) || request.headers().contains_key(COOKIE);
    let is_refusal = matches!(kind, ProblemKind::Unauthorized | ProblemKind::KeyExpired | ProblemKind::TokenExpired);
    if let Some(gateway) = request.app_data::<web::Data<Gateway>>().filter(|_| sent && is_refusal) {
        gateway.refusals.count(kind, who.address.as_deref());
    }
}
