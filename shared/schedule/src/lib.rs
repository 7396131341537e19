//! When a schedule fires, and what its relative dates are then. Pure: no clock, no input or output.
//!
//! A schedule speaks of what a clock on the wall shows: `every weekday at 07:30`. Each such nominal time has one moment: the first
//! at which its zone's clock shows that time or a later one. So a time that the clocks skip in spring comes right after the gap, one
//! that they show twice in autumn comes once, and nothing comes twice.

mod cron;
mod days;
mod draft;
mod holidays;
mod moment;
mod on_event;
mod parse_words;
mod read_holidays;
mod relative;
mod span;
mod tokens;
mod when;
mod words;

pub use holidays::Holidays;
pub use moment::{Occurrence, moment_of, shown};
pub use on_event::{Trigger, read_latest};
pub use read_holidays::HolidayFault;
pub use relative::{Relative, RelativeFault, Resolved};
pub use when::{When, WhenFault};
