//! What all processes of Waitless agree on.

// Pure: no input or output.
pub mod access;
pub mod arrival;
pub mod artifact;
pub mod backoff;
pub mod delivery;
pub mod event;
pub mod job;
pub mod locale;
pub mod message;
pub mod problem;
pub mod progress;
pub mod report;
pub mod reuse;
pub mod trace;
pub mod transitions;

// Places: where things rest.
pub mod broker;
pub mod config;
pub mod postgres;
pub mod storage;
pub mod store;

// Movers: what carries things between places.
pub mod outbox;
pub mod sweep;

// The process itself.
pub mod places;
pub mod probes;
pub mod shutdown;
pub mod telemetry;
