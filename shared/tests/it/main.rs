//! Tests of what all processes agree on.

mod documents;
mod rules;
