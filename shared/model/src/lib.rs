//! What all processes of Waitless agree on: jobs, their states and events, messages, artifacts, problems. Pure: no input or output,
//! and no dependency on any other crate of the workspace.

pub mod access;
pub mod artifact;
pub mod attributes;
pub mod audit;
pub mod backoff;
pub mod cloud_event;
pub mod delivery;
pub mod event;
pub mod finding;
pub mod forecast;
pub mod job;
pub mod limits;
pub mod locale;
pub mod message;
pub mod pause;
pub mod problem;
pub mod progress;
pub mod recipient;
pub mod refusal;
pub mod report_pattern;
pub mod retry_schedule;
pub mod reuse;
pub mod schedule;
pub mod scope;
pub mod seal;
pub mod sign_in;
pub mod trace;
pub mod transitions;
pub mod turns;
pub mod units;
pub mod usage;
pub mod webhook;
