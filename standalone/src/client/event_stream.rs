//! Server-sent events of a response, bounded in time and size.

use std::cell::Cell;
use std::future::ready;
use std::time::{Duration, Instant};

use eventsource_stream::{Event, EventStreamError, Eventsource as _};
use futures_util::stream::{Stream, StreamExt as _, unfold};
use reqwest::Response;

/// A gateway pings more often than this; a stream that is silent for longer is dead.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// A gateway's events are far smaller; whatever sends more without an end is no event stream.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Returns the events of a response until it ends, falls silent or sends what is no event. `last_heard` is set whenever anything
/// arrives, pings included.
pub(super) fn events(
    response: Response,
    last_heard: &Cell<Instant>,
) -> impl Stream<Item = Result<Event, EventStreamError<reqwest::Error>>> {
    let chunks = unfold(response, move |mut response| async move {
        let chunk = tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await.ok()?;
        last_heard.set(Instant::now());
        chunk.transpose().map(|chunk| (chunk, response))
    });
    parse(chunks)
}

fn parse<B: AsRef<[u8]>, E>(
    chunks: impl Stream<Item = Result<B, E>>,
) -> impl Stream<Item = Result<Event, EventStreamError<E>>> {
    let mut unfinished = UnfinishedEvent::default();
    let has_bounds =
        move |chunk: &Result<B, E>| ready(chunk.as_ref().map_or(true, |bytes| unfinished.add(bytes.as_ref())));
    chunks.take_while(has_bounds).eventsource()
}

/// What came since the last empty line; the parser keeps all of it.
#[derive(Default)]
struct UnfinishedEvent {
    bytes: usize,
    at_line_start: bool,
}

impl UnfinishedEvent {
    /// Returns whether it is still small enough.
    fn add(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes.iter().filter(|byte| **byte != b'\r') {
            let ends = *byte == b'\n' && self.at_line_start;
            self.bytes = if ends { 0 } else { self.bytes + 1 };
            self.at_line_start = *byte == b'\n';
        }
        self.bytes <= MAX_EVENT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::iter;

    use super::*;

    const STREAM: &str =
        "retry: 2000\n\n: ping\n\nid: 1\nevent: submitted\ndata: {\"a\":1}\n\nevent: progress\ndata: x\ndata: y\n\n";

    #[tokio::test]
    async fn events_are_the_same_however_the_bytes_are_cut() {
        for size in 1..STREAM.len() {
            let chunks = STREAM.as_bytes().chunks(size).map(Ok::<_, Infallible>);
            let found: Vec<Event> = parse(iter(chunks)).map(Result::unwrap).collect().await;
            assert_eq!(found.len(), 2, "{size}");
            assert_eq!(
                (found[0].id.as_str(), found[0].event.as_str(), found[0].data.as_str()),
                ("1", "submitted", "{\"a\":1}")
            );
            assert_eq!((found[1].id.as_str(), found[1].data.as_str()), ("1", "x\ny"), "the last id stays");
        }
    }

    #[tokio::test]
    async fn an_endless_event_is_given_up() {
        let line = b"data: x\n".repeat(1024);
        let mut sent = 0_usize;
        let endless = futures_util::stream::repeat_with(|| {
            sent += line.len();
            Ok::<_, Infallible>(line.clone())
        });
        assert_eq!(parse(endless).count().await, 0);
        assert!(sent < 2 * MAX_EVENT_BYTES, "{sent}");
    }

    #[tokio::test]
    async fn a_stream_of_pings_has_no_end_of_its_own() {
        let pings = iter(std::iter::repeat_n(Ok::<_, Infallible>(b": ping\n\n".repeat(1024)), 512));
        let last = iter([Ok(b"data: x\n\n".to_vec())]);
        assert_eq!(parse(pings.chain(last)).count().await, 1);
    }
}
