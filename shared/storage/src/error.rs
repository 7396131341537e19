//! Why a storage call failed, in words that may be shown: no credentials, no signed links.

use std::error::Error as _;
use std::io;

/// Why a storage call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Not reachable, overloaded, full, or too slow. May pass.
    #[error("the storage is not available: {0}")]
    Unavailable(String),
    /// There is no such object.
    #[error("there is no such object: {0}")]
    NotFound(String),
    /// The storage understood and said no; the same call will be refused again.
    #[error("the storage refused: {0}")]
    Refused(String),
    /// Credentials, bucket or URL are wrong. Somebody has to look at the configuration.
    #[error("the storage is misconfigured: {0}")]
    Misconfigured(String),
}

impl StorageError {
    /// Tells whether the same call may succeed later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Says which call it was, and sorts the error by what can be done about it.
    pub(super) fn from_store(doing: &str, error: &object_store::Error) -> Self {
        use object_store::Error;
        let message = format!("cannot {doing}: {}", summarise(error));
        match error {
            Error::NotFound { .. } if message.contains("NoSuchBucket") => Self::Misconfigured(message),
            Error::NotFound { .. } => Self::NotFound(message),
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::InvalidPath { .. } => {
                Self::Refused(message)
            }
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. } => Self::Misconfigured(message),
            _ => Self::from_status(message),
        }
    }

    /// Sorts what object_store calls generic: for some requests it looks at no status, only says it.
    fn from_status(message: String) -> Self {
        let status = message.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
        match status {
            Some(401 | 403) => Self::Misconfigured(message),
            Some(404) if message.contains("NoSuchBucket") => Self::Misconfigured(message),
            Some(404) => Self::NotFound(message),
            // A connection, a time-out, or an answer that asks for patience, after object_store's own retries.
            None | Some(408 | 429 | 500..) => Self::Unavailable(message),
            Some(_) => Self::Refused(message),
        }
    }

    /// The same for a local folder.
    pub(super) fn from_io(doing: &str, error: &io::Error) -> Self {
        let message = format!("cannot {doing}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(message),
            io::ErrorKind::AlreadyExists => Self::Refused(message),
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported => {
                Self::Misconfigured(message)
            }
            // A full or failing disk is somebody's problem, but not this job's: it may pass.
            _ => Self::Unavailable(message),
        }
    }

    pub(super) fn timed_out(doing: &str, after: std::time::Duration) -> Self {
        Self::Unavailable(format!("cannot {doing}: no answer within {}", humantime::format_duration(after)))
    }

    /// A blocking task ended without an answer: it panicked, or the process is stopping.
    pub(super) fn from_join(doing: &str, error: &tokio::task::JoinError) -> Self {
        Self::Unavailable(format!("cannot {doing}: {error}"))
    }
}

/// Says what happened without the parts of an answer that may hold secrets: query strings carry signatures, and bodies echo
/// key ids and string-to-sign.
fn summarise(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    let code = between(&text, "<Code>", "</Code>");
    let said = between(&text, "<Message>", "</Message>");
    let visible = text.split('<').next().unwrap_or_default().trim_end_matches([' ', ':']);
    let mut summary: String = visible.split(' ').map(without_query).collect::<Vec<_>>().join(" ");
    if summary.chars().count() > 400 {
        summary = summary.chars().take(400).chain(['…']).collect();
    }
    match (code, said) {
        (Some(code), Some(said)) => format!("{summary}: {code}: {said}"),
        (Some(code), None) => format!("{summary}: {code}"),
        _ => summary,
    }
}

fn without_query(word: &str) -> &str {
    if word.contains("://") { word.split('?').next().unwrap_or(word) } else { word }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.find(open)? + open.len();
    let length = text.get(start..)?.find(close)?;
    text.get(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_neither_signatures_nor_answer_bodies() {
        let error = object_store::Error::Generic {
            store: "S3",
            source: "GET https://s3.example/b/k?X-Amz-Signature=canary in 3s - status 500: <?xml?><Error><Code>InternalError</Code>\
                     <Message>Try again</Message><AWSAccessKeyId>canary</AWSAccessKeyId></Error>"
                .into(),
        };
        let message = StorageError::from_store("read k", &error).to_string();
        assert!(!message.contains("canary"), "{message}");
        assert!(message.contains("InternalError: Try again"), "{message}");
        assert!(message.contains("https://s3.example/b/k in 3s"), "{message}");
    }
}
