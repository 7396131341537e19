//! What an endpoint answered, and what becomes of the delivery.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use super::breaker::Exchange;
use crate::channel::SendError;
use crate::compose::single_line;

/// Bytes of an answer that are read at most.
const MOST_READ: usize = 64 * 1024;
/// Characters of it that are kept.
const MOST_KEPT: usize = 300;
/// An endpoint that has accepted may take so long to say more; nobody reads it, but the connection can be used again then.
const REST_WITHIN: Duration = Duration::from_millis(500);
/// Nobody is left alone for longer, whatever they ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// An endpoint's answer, read as far as anybody cares.
#[derive(Debug)]
pub(super) struct EndpointAnswer {
    pub(super) status: StatusCode,
    /// How long it asks to be left alone.
    pub(super) after: Option<Duration>,
    /// The beginning of what it said, in one line.
    said: String,
}

impl EndpointAnswer {
    /// Reads an answer. What is `secret` (tokens of links that the request carried) is not kept, should it be echoed.
    pub(super) async fn read(response: Response, secret: &[String]) -> Self {
        let (status, after) = (response.status(), asked(&response, Utc::now()));
        if status.is_success() {
            let _rest = tokio::time::timeout(REST_WITHIN, beginning(response)).await;
            return Self { status, after, said: String::new() };
        }
        let text = String::from_utf8_lossy(&beginning(response).await).into_owned();
        let hidden = secret.iter().fold(text, |text, token| text.replace(token, "(hidden)"));
        Self { status, after, said: single_line(&hidden, MOST_KEPT) }
    }

    /// Tells whether the endpoint is there: whatever it says about this request, and not that it cannot serve any.
    pub(super) fn exchange(&self) -> Exchange {
        if self.status.is_server_error() { Exchange::Failed } else { Exchange::Answered }
    }

    /// Judges by Standard Webhooks: 2xx is delivered, 410 never will be, and anything else is tried again, 4xx included: endpoints answer
    /// 401 and 404 while somebody mends them.
    pub(super) fn judge(self) -> Result<(), SendError> {
        let Self { status, after, said } = self;
        if status.is_success() {
            return Ok(());
        }
        let mut reason = format!("the endpoint answered {status}");
        if status.is_redirection() {
            reason.push_str(" (redirects are not followed; correct the url)");
        }
        if !said.is_empty() {
            reason = format!("{reason}: {said}");
        }
        if status == StatusCode::GONE {
            Err(SendError::Rejected(reason))
        } else {
            Err(SendError::Retry { reason, after })
        }
    }
}

/// Reads until enough is there, the answer ends, or breaks off.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let wanted = chunk.len().min(MOST_READ - read.len());
        read.extend(chunk.iter().take(wanted));
        if read.len() >= MOST_READ {
            break;
        }
    }
    read
}

/// Reads `Retry-After` of those who are busy: seconds, or a date.
fn asked(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let busy = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let text = response.headers().get(RETRY_AFTER).filter(|_| busy)?.to_str().ok()?;
    read_retry_after(text, now)
}

fn read_retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now).to_std().ok()?,
    };
    Some(asked.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_be_left_alone_is_read_in_both_forms_and_bounded() {
        let now = "2015-10-21T07:28:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:29:30 GMT", Some(90)),
            ("999999999", Some(86_400)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", None),
            ("-5", None),
            ("soon", None),
        ] {
            assert_eq!(read_retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
