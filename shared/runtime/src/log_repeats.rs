//! Keeps a storm of the same line out of the log: a line that repeats is written once, and counted from then on.
//!
//! Two lines are the same when they come from the same place in the code, say the same, and are about the same thing: all texts of the
//! line, and the fields that name one (a job, a delivery, a queue, …) of the spans around it. Numbers may differ, and how an error is
//! worded. So each of a thousand jobs that fail keeps its line, and the relay that finds no broker for the thousandth time does not.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::fmt::Debug;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Fields of spans that say what their lines are about. What else they have, a request's trace say, is another each time.
const NAMES: [&str; 15] = [
    "job", "attempt", "id", "delivery", "report", "source", "queue", "lane", "worker", "tenant", "channel", "file",
    "folder", "pod", "what",
];
/// Fields of lines that say how it went. Whatever else a line says makes it another one: rather too many lines than one that is missing.
const WORDING: [&str; 5] = ["error", "why", "reason", "detail", "after"];
/// Lines of so many things are kept apart; those beyond are all written.
const MOST: usize = 10_000;
/// Of the lines that say what was left out, which are never left out themselves.
const TARGET: &str = "runtime::log_repeats";

type LineKey = (Identifier, u64);

/// A line that was written, and how often it came again.
#[derive(Debug)]
struct Repeated {
    since: Instant,
    left_out: u64,
    level: Level,
    target: &'static str,
    said: String,
}

type Lines = Mutex<HashMap<LineKey, Repeated>>;

/// Lets the first of equal lines pass, for as long as there are equal ones.
#[derive(Debug)]
pub(crate) struct RepeatFilter {
    lines: Arc<Lines>,
}

/// Tells at intervals how many lines were left out; once more when it is dropped.
#[derive(Debug)]
pub(crate) struct RepeatReporter {
    lines: Arc<Lines>,
}

/// Makes the filter, and what tells of it after each `window`.
pub(crate) fn leave_out_repeats(window: Duration) -> anyhow::Result<(RepeatFilter, RepeatReporter)> {
    let lines = Arc::new(Lines::default());
    let watched = Arc::downgrade(&lines);
    std::thread::Builder::new().name("log-repeats".to_owned()).spawn(move || report_until_gone(&watched, window))?;
    Ok((RepeatFilter { lines: Arc::clone(&lines) }, RepeatReporter { lines }))
}

fn report_until_gone(lines: &Weak<Lines>, window: Duration) {
    loop {
        std::thread::sleep(window);
        let Some(lines) = lines.upgrade() else { return };
        tell(take_due(&lines, window));
    }
}

impl Drop for RepeatReporter {
    fn drop(&mut self) {
        tell(take_due(&self.lines, Duration::ZERO));
    }
}

/// Takes what is to be told. A line that came again within the time goes on being left out; one that did not is forgotten.
fn take_due(lines: &Lines, window: Duration) -> Vec<Repeated> {
    let (now, mut due) = (Instant::now(), Vec::new());
    lines.lock().retain(|_, line| {
        let waited = now.duration_since(line.since);
        if line.left_out == 0 {
            return waited < window;
        }
        due.push(Repeated { since: line.since, said: line.said.clone(), ..*line });
        (line.since, line.left_out) = (now, 0);
        true
    });
    due
}

fn tell(due: Vec<Repeated>) {
    for Repeated { since, left_out, level, target, said } in due {
        let (seconds, of) = (since.elapsed().as_secs_f64().ceil(), target);
        match level {
            Level::ERROR => tracing::error!(target: TARGET, left_out, of, "and {left_out} more in {seconds} s: {said}"),
            _ => tracing::warn!(target: TARGET, left_out, of, "and {left_out} more in {seconds} s: {said}"),
        }
    }
}

/// Reads what a span is about.
#[derive(Default)]
struct SpanNames(DefaultHasher);

impl Visit for SpanNames {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if NAMES.contains(&field.name()) {
            (field.name(), format!("{value:?}")).hash(&mut self.0);
        }
    }
}

/// Reads what a line is about, and says.
#[derive(Default)]
struct LineSubject {
    names: DefaultHasher,
    message: String,
}

impl LineSubject {
    fn record_number(&mut self, field: &Field, value: impl Debug) {
        if NAMES.contains(&field.name()) {
            self.record_debug(field, &value);
        }
    }
}

impl Visit for LineSubject {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if WORDING.contains(&field.name()) {
            return;
        }
        let said = format!("{value:?}");
        (field.name(), &said).hash(&mut self.names);
        if field.name() == "message" {
            self.message = said;
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record_number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_number(field, value);
    }
}

/// What a span is about, kept with it.
struct SpanSubject(u64);

impl RepeatFilter {
    /// Says whether a line is written, and counts it if not.
    fn passes(&self, key: LineKey, metadata: &'static Metadata<'static>, said: String) -> bool {
        let mut lines = self.lines.lock();
        let full = lines.len() >= MOST;
        match lines.entry(key) {
            Entry::Occupied(mut known) => {
                known.get_mut().left_out += 1;
                false
            }
            Entry::Vacant(place) => {
                if !full {
                    let (level, target) = (*metadata.level(), metadata.target());
                    place.insert(Repeated { since: Instant::now(), left_out: 0, level, target, said });
                }
                true
            }
        }
    }
}

impl RepeatFilter {
    /// Says whether a line is written, and counts it if not.
    fn is_written<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        // What was done is told each time, a request and an attempt alike; only what is wrong comes in storms.
        if *metadata.level() > Level::WARN || metadata.target() == TARGET {
            return true;
        }
        let mut subject = LineSubject::default();
        event.record(&mut subject);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanSubject(about)) = span.extensions().get() {
                about.hash(&mut subject.names);
            }
        }
        self.passes((metadata.callsite(), subject.names.finish()), metadata, subject.message)
    }
}

/// A log without repeats. A layer around the one that writes, and no filter of it: the library's own filters do not take it well when
/// the only layer that would have an event is left out at the last moment.
pub(crate) struct WithoutRepeats<L> {
    pub(crate) log: L,
    pub(crate) filter: RepeatFilter,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, L: Layer<S>> Layer<S> for WithoutRepeats<L> {
    fn on_layer(&mut self, subscriber: &mut S) {
        self.log.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut subject = SpanNames::default();
        attributes.record(&mut subject);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(SpanSubject(subject.0.finish()));
        }
        self.log.on_new_span(attributes, id, context);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.log.on_record(span, values, context);
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        self.log.on_follows_from(span, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.filter.is_written(event, &context) {
            self.log.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.log.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.log.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.log.on_close(id, context);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: Context<'_, S>) {
        self.log.on_id_change(old, new, context);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Longer than any test takes.
    const NEVER: Duration = Duration::from_secs(3_600);

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Does something with a log of its own, and returns the log.
    fn log_of(act: impl FnOnce(&RepeatReporter)) -> String {
        let (filter, reporter) = leave_out_repeats(NEVER).unwrap();
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(WithoutRepeats { log, filter });
        tracing::subscriber::with_default(subscriber, || {
            act(&reporter);
            drop(reporter);
        });
        String::from_utf8(written.0.lock().clone()).unwrap()
    }

    #[test]
    fn a_line_that_repeats_is_written_once_and_counted() {
        let log = log_of(|_| {
            for count in 0..413 {
                tracing::warn!(count, error = %format!("refused {count}"), "the broker is away");
            }
            tracing::warn!("something else");
        });
        assert_eq!(log.matches("refused 0").count(), 1, "{log}");
        assert_eq!(log.lines().count(), 3, "{log}");
        assert!(log.contains("and 412 more in 1 s: the broker is away") && log.contains("something else"), "{log}");
    }

    #[test]
    fn lines_that_say_something_else_are_no_repeats_although_one_place_writes_them() {
        let log = log_of(|_| {
            for (setting, what) in
                [("mail.allow", "everybody"), ("http.listen", "everywhere"), ("mail.allow", "everybody")]
            {
                tracing::warn!(setting, count = what.len(), "{setting} is for {what}");
            }
        });
        assert_eq!((log.matches("everybody").count(), log.matches("everywhere").count()), (2, 1), "{log}");
        assert!(log.contains("and 1 more in 1 s: mail.allow is for everybody"), "{log}");
    }

    #[test]
    fn each_job_keeps_its_line_whether_the_line_or_a_span_names_it() {
        let log = log_of(|_| {
            for job in ["one", "two", "one", "three"] {
                tracing::error!(job, "it failed");
                let _span = tracing::info_span!("attempt", job).entered();
                tracing::warn!("it will be tried again");
            }
        });
        assert_eq!(log.matches("it failed").count(), 3 + 1, "{log}");
        assert_eq!(log.matches("it will be tried again").count(), 3 + 1, "{log}");
        assert_eq!(log.matches("and 1 more").count(), 2, "{log}");
    }

    #[test]
    fn a_storm_that_goes_on_is_told_of_each_time_and_then_written_again() {
        let log = log_of(|reporter| {
            let say = || tracing::warn!("the broker is away");
            say();
            say();
            tell(take_due(&reporter.lines, Duration::ZERO));
            say();
            tell(take_due(&reporter.lines, Duration::ZERO));
            // Nothing came meanwhile: it is over.
            tell(take_due(&reporter.lines, Duration::ZERO));
            say();
        });
        let lines: Vec<&str> = log.lines().map(|line| line.split("WARN ").nth(1).unwrap()).collect();
        let written = "runtime::log_repeats::tests: the broker is away";
        let more =
            "runtime::log_repeats: and 1 more in 1 s: the broker is away left_out=1 of=\"runtime::log_repeats::tests\"";
        assert_eq!(lines, [written, more, more, written], "{log}");
    }

    #[test]
    fn what_is_no_fault_is_written_each_time() {
        let log = log_of(|_| (0..5).for_each(|_| tracing::info!("answered")));
        assert_eq!(log.matches("answered").count(), 5, "{log}");
    }
}
