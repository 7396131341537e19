//! Why a token of an identity provider opens nothing.

use model::problem::{Problem, ProblemKind};

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// It is longer than any that would be read.
    TooLong,
    /// It is not a signed JWT.
    Shape,
    /// It comes from a provider that is not configured.
    Issuer,
    /// It is not an access token: its `typ` says what else it is.
    Kind,
    /// It is signed by an algorithm that is not configured.
    Algorithm,
    /// Its provider has no such key.
    Key,
    /// It was not signed by that key.
    Signature,
    /// It was made for another service.
    Audience,
    /// A claim that every token must have is missing, or is not what it should be.
    Claim(&'static str),
    /// It does not belong to the sign-in that it came with.
    SignIn,
    /// It is good, and its holder is nobody here.
    Unmapped(String),
    /// The keys of its provider are not known.
    Unavailable,
}

impl TokenFault {
    /// Returns it in a word, for metrics and logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Shape => "shape",
            Self::Issuer => "issuer",
            Self::Kind => "kind",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Claim(_) => "claim",
            Self::SignIn => "sign-in",
            Self::Unmapped(_) => "unmapped",
            Self::Unavailable => "unavailable",
        }
    }

    /// Says it as a problem: what to do, and nothing of what there is.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let anew = "Ask your identity provider for a new one";
        let (kind, detail) = match self {
            Self::TooLong => (ProblemKind::Unauthorized, format!("This token is too long. {anew}, with fewer claims.")),
            Self::Shape => (
                ProblemKind::Unauthorized,
                format!("This token is not a signed JWT with a header, claims and `iss`. {anew}."),
            ),
            Self::Issuer => (ProblemKind::Unauthorized, "Tokens of this issuer are not taken here.".to_owned()),
            Self::Kind => (
                ProblemKind::Unauthorized,
                "This is not an access token. Send the access token of your sign-in.".to_owned(),
            ),
            Self::Algorithm => {
                (ProblemKind::Unauthorized, "Tokens that are signed by this algorithm are not taken here.".to_owned())
            }
            Self::Key | Self::Signature => {
                (ProblemKind::Unauthorized, format!("This token is not signed by a key of its issuer. {anew}."))
            }
            Self::Audience => {
                let detail = "This token was made for another service. Ask your identity provider for one whose `aud` is this service.";
                (ProblemKind::Unauthorized, detail.to_owned())
            }
            Self::Claim(name) => {
                let detail = format!("This token has no `{name}`, or one that is not what it should be. {anew}.");
                (ProblemKind::Unauthorized, detail)
            }
            Self::SignIn => (ProblemKind::Unauthorized, "This sign-in was not begun here. Sign in again.".to_owned()),
            Self::Unmapped(why) => {
                (ProblemKind::Forbidden, format!("Your account is good, and may not use this service: {why}."))
            }
            Self::Unavailable => {
                let detail = "The identity provider cannot be asked for its keys at the moment. Try again in a while.";
                (ProblemKind::Unavailable, detail.to_owned())
            }
        };
        Problem::new(kind, detail)
    }
}
