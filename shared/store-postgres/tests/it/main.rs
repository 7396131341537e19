//! Tests of the store on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod histories;
mod later_version;
mod plans;
mod plans_of_turns;
mod restored;
mod schedule_plans;
mod store_follow;
mod store_postgres;
mod store_postgres_audit;
mod store_postgres_limits;
mod store_postgres_pooled;
mod tls;
