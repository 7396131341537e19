//! The store: the truth. [`contract`] says what it does; `postgres` and `sqlite` do it.

mod coalesce;
mod contract;

pub use coalesce::Coalesced;
pub use contract::*;
