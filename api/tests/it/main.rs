//! The gateway over real HTTP, on the embedded stack and on PostgreSQL with RabbitMQ.

mod api;
mod sse;

mod access;
mod admin;
mod artifact;
mod document;
mod heads;
mod jobs;
mod submit;
mod watch;
