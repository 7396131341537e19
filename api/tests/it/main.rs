//! The gateway over real HTTP, on the embedded stack and on PostgreSQL with RabbitMQ.

mod api;
mod sse;

mod document;
mod jobs;
mod submit;
mod watch;
