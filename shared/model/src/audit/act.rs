//! What is written down.

use serde::{Deserialize, Serialize};

use crate::job::UnknownName;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAct {
    /// A browser signed in.
    SignIn,
    /// A browser signed out.
    SignOut,
    /// A credential was sent that opens nothing; counted, many as one entry.
    CredentialRefused,
    /// A backend had a token minted for somebody.
    TokenMinted,
    /// Tokens were revoked.
    TokenRevoked,
    /// A job was submitted.
    JobSubmitted,
    /// A job was cancelled.
    JobCancelled,
    /// A failed job was replayed.
    JobReplayed,
    /// A file was fetched through the API.
    FileFetched,
    /// A file was fetched by its link.
    LinkFollowed,
    /// The link to a file was revoked.
    LinkRevoked,
    /// Mails that failed were sent again.
    DeliveriesSentAgain,
    /// An API key was made.
    KeyCreated,
    /// An API key was revoked.
    KeyRevoked,
    /// The audit log itself was read.
    AuditRead,
    /// What is known of a principal was erased.
    PrincipalErased,
}

impl AuditAct {
    /// Every act.
    pub const ALL: [Self; 16] = [
        Self::SignIn,
        Self::SignOut,
        Self::CredentialRefused,
        Self::TokenMinted,
        Self::TokenRevoked,
        Self::JobSubmitted,
        Self::JobCancelled,
        Self::JobReplayed,
        Self::FileFetched,
        Self::LinkFollowed,
        Self::LinkRevoked,
        Self::DeliveriesSentAgain,
        Self::KeyCreated,
        Self::KeyRevoked,
        Self::AuditRead,
        Self::PrincipalErased,
    ];

    /// Returns the name used in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::CredentialRefused => "credential_refused",
            Self::TokenMinted => "token_minted",
            Self::TokenRevoked => "token_revoked",
            Self::JobSubmitted => "job_submitted",
            Self::JobCancelled => "job_cancelled",
            Self::JobReplayed => "job_replayed",
            Self::FileFetched => "file_fetched",
            Self::LinkFollowed => "link_followed",
            Self::LinkRevoked => "link_revoked",
            Self::DeliveriesSentAgain => "deliveries_sent_again",
            Self::KeyCreated => "key_created",
            Self::KeyRevoked => "key_revoked",
            Self::AuditRead => "audit_read",
            Self::PrincipalErased => "principal_erased",
        }
    }
}

impl std::str::FromStr for AuditAct {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|act| act.as_str() == name).ok_or_else(|| UnknownName::new("act", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_has_one_name_everywhere() {
        for act in AuditAct::ALL {
            assert_eq!(serde_json::to_value(act).unwrap(), act.as_str());
            assert_eq!(act.as_str().parse(), Ok(act));
        }
    }
}
