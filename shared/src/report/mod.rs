//! Report definitions: parsing, parameters, placeholders, the catalogue folder.

mod definition;

pub use definition::*;
