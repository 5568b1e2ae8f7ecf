//! The protocols as models. Each is checked in every state that its bounds admit, and again with one rule broken after the
//! other: a model in which no break is seen proves nothing. `docs/model.md` has the bounds, the figures and what is left out.

#![forbid(unsafe_code)]

pub mod check;
pub mod evacuate;
pub mod fleet;
pub mod lease;
pub mod registry;
pub mod suite;
