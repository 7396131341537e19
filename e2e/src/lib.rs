//! Journeys and faults, run against real processes. See `tests/`.
