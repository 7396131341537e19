//! A browser's side of an event stream.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// One frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) retry: Option<String>,
    pub(crate) comment: bool,
}

/// An open stream.
pub(crate) struct Stream {
    answer: Response,
    buffer: String,
}

/// How long a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stream is open in all: what bounds a test is `PATIENCE`, and the runner.
const OPEN: Duration = Duration::from_secs(280);

impl Stream {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let answer = request.timeout(OPEN).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        Self { answer, buffer: String::new() }
    }

    /// Returns the next frame, none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let frame = parse(frame);
                self.buffer = rest.to_owned();
                return Some(frame);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("something in time");
            match chunk.unwrap() {
                Some(chunk) => self.buffer.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => return None,
            }
        }
    }

    /// Returns the next frame that has data.
    pub(crate) async fn next_event(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.data.is_some() {
                return Some(frame);
            }
        }
    }

    /// Returns the next state event: what has an id.
    pub(crate) async fn next_state(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next_event().await?;
            if frame.id.is_some() {
                return Some(frame);
            }
        }
    }

    /// Returns the names of all state events until the end.
    pub(crate) async fn names_until_end(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(frame) = self.next_state().await {
            names.push(frame.name.unwrap());
        }
        names
    }
}

fn parse(text: &str) -> Frame {
    let mut frame = Frame::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => frame.id = Some(id.to_owned()),
            Some(("event", name)) => frame.name = Some(name.to_owned()),
            Some(("data", data)) => frame.data = Some(serde_json::from_str(data).unwrap()),
            Some(("retry", retry)) => frame.retry = Some(retry.to_owned()),
            Some(("", _)) => frame.comment = true,
            _ => panic!("not a line of an event stream: {line:?}"),
        }
    }
    frame
}
