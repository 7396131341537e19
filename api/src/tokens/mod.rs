//! `/v1/tokens`: a backend has tokens minted for the people it knows, and ends them before their time.

pub mod check_mint;
pub mod mint;
pub mod revoke;
