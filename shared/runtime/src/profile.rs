//! Where this process spends its time, asked for on the port for operations: `/debug/pprof/profile`.
//!
//! Threads that use the processor are interrupted some hundred times a second of it, and where each was is written down. A thread that is
//! interrupted within the C library or the unwinder is left out: whatever locks those hold, none is waited for in the interruption.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use pprof::ProfilerGuardBuilder;

use crate::pprof_message::{MappedProgram, Stack, StackFrame, StackTable};

/// Interruptions a second of processor time; a prime, so that what happens at round intervals is not always met, or never.
const FREQUENCY: i32 = 199;
/// Code in which a thread is left alone: it may hold what unwinding needs.
const LEFT_ALONE: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
/// Nobody needs a longer one at once, and while one is taken nobody else has one.
const LONGEST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(10);

/// What a profile is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProfileFormat {
    /// As `go tool pprof`, speedscope and Pyroscope read it.
    Pprof,
    /// A line a stack, for flame graphs and for people.
    Folded,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProfileRequest {
    pub(crate) length: Duration,
    pub(crate) format: ProfileFormat,
}

impl ProfileRequest {
    /// Reads a query.
    ///
    /// # Errors
    /// Says all that is wrong with it, and what would be right.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut request = Self { length: USUAL, format: ProfileFormat::Pprof };
        let mut wrong = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("seconds", value) => match value.parse() {
                    Ok(seconds) if (1..=LONGEST.as_secs()).contains(&seconds) => {
                        request.length = Duration::from_secs(seconds);
                    }
                    _ => wrong.push(format!("seconds is a number from 1 to {}", LONGEST.as_secs())),
                },
                ("format", "pprof") => request.format = ProfileFormat::Pprof,
                ("format", "folded") => request.format = ProfileFormat::Folded,
                ("format", _) => wrong.push("format is pprof or folded".to_owned()),
                (name, _) => {
                    let name: String = name.chars().take(40).collect();
                    wrong.push(format!("`{name}` is not a parameter; there are seconds and format"));
                }
            }
        }
        if wrong.is_empty() { Ok(request) } else { Err(wrong.join("\n")) }
    }
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("another profile of this process is being taken; ask again once it is there")]
    Busy,
    #[error("no profile can be taken: {0}")]
    Failed(String),
}

static TAKING: AtomicBool = AtomicBool::new(false);

/// The one profile that is being taken; another may be once this is gone, also when whoever asked has left.
struct ProfileTurn;

impl ProfileTurn {
    fn take() -> Result<Self, ProfileError> {
        if TAKING.swap(true, Ordering::AcqRel) { Err(ProfileError::Busy) } else { Ok(Self) }
    }
}

impl Drop for ProfileTurn {
    fn drop(&mut self) {
        TAKING.store(false, Ordering::Release);
    }
}

/// Watches this process for the time that was asked for, and says where it was.
pub(crate) async fn take_profile(request: ProfileRequest) -> Result<Vec<u8>, ProfileError> {
    let turn = ProfileTurn::take()?;
    let failed = |error: &dyn std::fmt::Display| ProfileError::Failed(error.to_string());
    let began = SystemTime::now();
    let watching = ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&LEFT_ALONE).build();
    let watching = watching.map_err(|error| failed(&error))?;
    tokio::time::sleep(request.length).await;
    // Names are looked up in the program's own file, which takes a moment.
    let written = tokio::task::spawn_blocking(move || {
        let seen = watching.report().build_unresolved().map_err(|error| error.to_string())?;
        drop(watching);
        let mut stacks = StackTable::default();
        for (seen, count) in &seen.data {
            let thread: Vec<u8> = seen.thread_name.iter().copied().take(seen.thread_name_length).collect();
            let frames = seen.frames.iter().map(name_frame).collect();
            let stack = Stack { thread: String::from_utf8_lossy(&thread).into_owned(), frames };
            stacks.add(stack, i64::try_from(*count).unwrap_or_default());
        }
        // What was read of that file would stay in memory otherwise.
        backtrace::clear_symbol_cache();
        drop(turn);
        Ok(match request.format {
            ProfileFormat::Folded => fold(&stacks).into_bytes(),
            ProfileFormat::Pprof => stacks.encode(began, request.length, FREQUENCY, MappedProgram::own().as_ref()),
        })
    });
    written.await.map_err(|error| failed(&error))?.map_err(ProfileError::Failed)
}

/// Names a place in the code: several functions where some were put into others. Programs without symbols give its address alone, which
/// those with symbols name.
fn name_frame(frame: &backtrace::Frame) -> StackFrame {
    let mut functions = Vec::new();
    backtrace::resolve_frame(frame, |symbol| {
        let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_default();
        let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
        if !name.is_empty() {
            functions.push((name, file, symbol.lineno().unwrap_or_default()));
        }
    });
    StackFrame { address: frame.ip().addr() as u64, functions }
}

/// Writes a line a stack, outermost first, with how often it was met.
fn fold(stacks: &StackTable) -> String {
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for (stack, count) in stacks.all() {
        let mut line = stack.thread.replace([';', ' '], "_");
        for frame in stack.frames.iter().rev() {
            if frame.functions.is_empty() {
                line += &format!(";0x{:x}", frame.address);
            }
            for (name, ..) in frame.functions.iter().rev() {
                line += ";";
                line += &name.replace(';', ":");
            }
        }
        *lines.entry(line).or_default() += count;
    }
    lines.into_iter().map(|(line, count)| format!("{line} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_query_is_told_with_what_would_be_right() {
        let usual = ProfileRequest { length: USUAL, format: ProfileFormat::Pprof };
        assert_eq!(ProfileRequest::parse("").unwrap(), usual);
        let asked = ProfileRequest::parse("seconds=60&format=folded").unwrap();
        assert_eq!(asked, ProfileRequest { length: LONGEST, format: ProfileFormat::Folded });
        let wrong = ProfileRequest::parse("seconds=61&format=svg&hz=1000").unwrap_err();
        assert_eq!(
            wrong,
            "seconds is a number from 1 to 60\nformat is pprof or folded\n`hz` is not a parameter; there are seconds and format"
        );
        for seconds in ["0", "-1", "x", "1.5", ""] {
            assert!(ProfileRequest::parse(&format!("seconds={seconds}")).is_err(), "{seconds}");
        }
    }

    #[tokio::test]
    async fn one_profile_is_taken_at_a_time_and_whoever_leaves_gives_up_their_turn() {
        let request = ProfileRequest { length: LONGEST, format: ProfileFormat::Folded };
        let mut first = tokio::spawn(take_profile(request));
        // Until it has begun; it ends by itself only in a minute.
        while !TAKING.load(Ordering::Acquire) {
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut first).await.is_err(), "it ended");
        }
        assert!(matches!(take_profile(request).await, Err(ProfileError::Busy)));
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let short = ProfileRequest { length: Duration::from_millis(50), ..request };
        take_profile(short).await.unwrap();
    }
}
