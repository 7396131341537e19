//! Somebody who watches a job's events, and comes back when the connection is lost.

use futures_util::StreamExt as _;

use crate::stack::SOON;

/// What a watcher saw over all its connections.
#[derive(Debug, Default)]
pub struct Seen {
    /// The `Last-Event-ID` to come back with.
    pub last: Option<String>,
    /// Number and name of each event.
    pub events: Vec<(i64, String)>,
}

impl Seen {
    /// Reads numbered events until there are `enough` or the stream ends.
    pub async fn read(&mut self, response: reqwest::Response, enough: usize) {
        let (mut stream, mut buffer) = (response.bytes_stream(), String::new());
        while self.events.len() < enough {
            let next = tokio::time::timeout(SOON, stream.next()).await.expect("something in time");
            let Some(Ok(chunk)) = next else { return };
            buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((frame, rest)) = buffer.split_once("\n\n") {
                self.note(frame);
                buffer = rest.to_owned();
            }
        }
    }

    /// Tells whether the job has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.events.last().is_some_and(|(_, name)| matches!(name.as_str(), "done" | "failed" | "cancelled"))
    }

    fn note(&mut self, frame: &str) {
        let field =
            |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        if let (Some(id), Some(name)) = (field("id:"), field("event:")) {
            self.events.push((id.parse().unwrap(), name));
            self.last = Some(id);
        }
    }
}
