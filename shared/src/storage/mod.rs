//! Object storage: where artifacts rest.
