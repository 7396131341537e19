//! Everything under `/v1/admin`: for operators of one tenant. Needs the scope `admin`, which implies no other; the backlog has a
//! scope of its own.

pub mod audit;
pub mod backlog;
pub mod calibration;
pub mod dead_letters;
pub mod deliveries;
pub mod pauses;
pub mod queues;
pub mod send_again;
pub mod workers;
