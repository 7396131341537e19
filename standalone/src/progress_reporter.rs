//! A progress bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::job::JobState;
use model::progress::Phase;

use crate::client::{ClientError, JobObserver, ProgressResponse};
use crate::terminal;

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_millis(500);

/// Shows how far something is, on standard error.
pub(crate) struct ProgressReporter {
    bar: ProgressBar,
    plain: bool,
    last_line: Option<(String, Instant)>,
    lost: bool,
}

impl ProgressReporter {
    pub(crate) fn new() -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        // Without a style of ours, the first tick would draw an empty bar as wide as the terminal.
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(false));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, plain, last_line: None, lost: false }
    }

    /// Shows `what`, with a bar where the total is known.
    pub(crate) fn show(&mut self, what: &str, done: u64, total: Option<u64>) {
        if self.plain {
            let text = match total.filter(|total| *total > 0) {
                Some(total) => format!("{what}: {} %", (done.min(total)) * 100 / total),
                None => what.to_owned(),
            };
            self.print(text);
            return;
        }
        if self.bar.length() != total || self.last_line.is_none() {
            self.bar.set_style(style(total.is_some()));
            self.last_line = Some((String::new(), Instant::now()));
            total.map_or_else(|| self.bar.unset_length(), |total| self.bar.set_length(total));
        }
        self.bar.set_position(done);
        self.bar.set_message(what.to_owned());
    }

    /// Prints a line when it says something new and the last one is a while ago.
    fn print(&mut self, text: String) {
        let recent = self.last_line.as_ref().is_some_and(|(last, at)| *last == text || at.elapsed() < LINE_EVERY);
        if !recent {
            terminal::print_error(&text);
            self.last_line = Some((text, Instant::now()));
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&mut self, text: &str) {
        if self.plain {
            terminal::print_error(text);
        } else {
            self.bar.suspend(|| terminal::print_error(text));
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A style that cannot be read would be seen by everybody at once; the default is better than none.
fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded { "{bar:30} {percent:>3} %  {msg}" } else { "{spinner} {msg}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl JobObserver for ProgressReporter {
    fn state(&mut self, state: JobState, error: Option<&str>) {
        self.lost = false;
        match state {
            JobState::Pending => self.show("waiting for a worker", 0, None),
            JobState::Processing => {}
            JobState::Retrying => self.show(&format!("will be tried again: {}", error.unwrap_or_default()), 0, None),
            JobState::Done | JobState::Failed | JobState::Cancelled => self.clear(),
        }
    }

    fn progress(&mut self, progress: ProgressResponse) {
        let rows = terminal::format_count(progress.rows);
        let size = terminal::format_bytes(progress.bytes);
        let what = match (progress.phase, progress.total_rows) {
            (Phase::Waiting, _) => "waiting for a worker".to_owned(),
            (Phase::Starting, _) => "starting the query".to_owned(),
            (Phase::Reading, Some(total)) => {
                let about = if progress.total_is_estimate { "about " } else { "" };
                format!("reading: {rows} of {about}{} rows, {size}", terminal::format_count(total))
            }
            (Phase::Reading, None) => format!("reading: {rows} rows, {size}"),
            (Phase::Storing | Phase::Finished, _) => format!("storing: {rows} rows, {size}"),
        };
        let total = progress.total_rows.filter(|_| matches!(progress.phase, Phase::Reading | Phase::Storing));
        self.show(&what, progress.rows.min(total.unwrap_or(u64::MAX)), total);
    }

    fn lost(&mut self, why: &ClientError) {
        if !self.lost {
            self.say(&format!("{why}; the job goes on, trying again"));
        }
        self.lost = true;
    }
}
