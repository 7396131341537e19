//! When schedules fire, held against tables and against a second way of finding it out.

mod holidays;
mod relative;
mod words;
mod zones;
