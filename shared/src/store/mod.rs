//! The store: the truth. [`contract`] says what it does; `postgres` and `sqlite` do it.

mod contract;

pub use contract::*;
