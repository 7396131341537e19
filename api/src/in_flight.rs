//! Requests under way: so that a gateway that stops knows when it has answered the last one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// Counts requests whose answer is not complete.
#[derive(Debug, Default, Clone)]
pub struct InFlight(Arc<AtomicUsize>);

/// One request, until it is dropped.
#[derive(Debug)]
pub struct InFlightRequest(Arc<AtomicUsize>);

impl InFlight {
    /// Counts one request until the answer is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlightRequest {
        self.0.fetch_add(1, Ordering::AcqRel);
        InFlightRequest(Arc::clone(&self.0))
    }

    /// Waits until there is none.
    pub async fn wait_until_none(&self) {
        // Only a stopping process waits here, so that looking now and then costs nothing that matters.
        while self.0.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Makes a stream count as under way until its last byte. An answer that is complete already stops counting at once.
pub fn count_until_sent(body: BoxBody, one: Option<InFlightRequest>) -> BoxBody {
    match body.try_into_bytes() {
        Ok(bytes) => BoxBody::new(bytes),
        Err(body) => BoxBody::new(CountedBody { body, _one: one }),
    }
}

struct CountedBody {
    body: BoxBody,
    _one: Option<InFlightRequest>,
}

impl MessageBody for CountedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
