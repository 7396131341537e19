//! The gateway over real HTTP, on the embedded stack and on PostgreSQL with RabbitMQ.

mod document;
