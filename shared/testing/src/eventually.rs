//! Waiting for something to become true, with a deadline and a text that says what did not.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// What one look found: `bool`, `Option<T>` or `Result<T, E>`.
pub trait Observation {
    /// What is handed on once it is there.
    type Value;
    /// Says what was found, or what was seen instead (may be empty).
    fn into_result(self) -> Result<Self::Value, String>;
}

impl Observation for bool {
    type Value = ();
    fn into_result(self) -> Result<(), String> {
        if self { Ok(()) } else { Err(String::new()) }
    }
}

impl<T> Observation for Option<T> {
    type Value = T;
    fn into_result(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;
    fn into_result(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// Looks again every few milliseconds until it is there, and hands it on.
///
/// # Panics
/// When it is not there after `deadline`, with `what` and what the last look saw.
#[track_caller]
pub fn eventually<L: Observation>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> L,
) -> impl Future<Output = L::Value> {
    let caller = Location::caller();
    async move {
        let start = Instant::now();
        let mut pause = Duration::from_millis(2);
        let mut seen = String::from("the first look did not come back");
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            if let Ok(looked) = tokio::time::timeout(left.max(Duration::from_millis(1)), look()).await {
                match looked.into_result() {
                    Ok(found) => return found,
                    Err(instead) => seen = instead,
                }
            }
            if start.elapsed() >= deadline {
                give_up(caller, deadline, what, &seen);
            }
            tokio::time::sleep(pause.min(deadline.saturating_sub(start.elapsed()))).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(50));
        }
    }
}

#[expect(clippy::panic, reason = "a test helper fails the test")]
fn give_up(caller: &Location<'_>, deadline: Duration, what: &str, seen: &str) -> ! {
    let instead = if seen.is_empty() { String::new() } else { format!("; last seen: {seen}") };
    panic!("{caller}: not within {deadline:?}: {what}{instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_found_is_handed_on() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "the third look", async || {
            looks += 1;
            (looks == 3).then_some("here")
        })
        .await;
        assert_eq!(found, "here");
    }

    #[tokio::test]
    #[should_panic(expected = "not within 20ms: the door opens; last seen: closed")]
    async fn the_failure_says_what_was_seen_instead() {
        eventually(Duration::from_millis(20), "the door opens", async || Err::<(), _>("closed")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "not within 20ms: an answer")]
    async fn a_look_that_hangs_does_not_hang_the_test() {
        eventually(Duration::from_millis(20), "an answer", async || std::future::pending::<bool>().await).await;
    }
}
