//! The gateway over real HTTP, on the embedded stack and on PostgreSQL with RabbitMQ.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cognitive_complexity,
    reason = "a test fails by panicking, and asserts many things of one answer"
)]

mod api;
mod sse;
mod ws;

mod access;
mod admin;
mod artifact;
mod asyncapi;
mod attributes;
mod audit;
mod bodies;
mod calendars;
mod callers;
mod console;
mod document;
mod faults;
mod forecast;
mod formats;
mod heads;
mod jobs;
mod lifetimes;

mod links;
mod matrix;
mod oidc;
mod oidc_real;
mod oidc_refusals;
mod oidc_sign_in;
mod quotas;
mod refusals;
mod removals;
mod reuse;
mod roles;
mod rotation;
mod schedules;
mod schedules_by_event;
mod schedules_in_catalogue;
mod service_status;
mod session;
mod socket;
mod submit;
mod tokens;
mod upcoming;
mod watch;
mod webhooks;
