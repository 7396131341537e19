//! Whole systems of real processes on real servers, and what faults do to them. See `tests/`.
