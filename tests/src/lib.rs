//! Tests that cross crates. The tests stand in `tests/`; this library is empty on purpose.
