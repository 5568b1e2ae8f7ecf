//! Carrying questions of controllers to BMCs that they do not reach, where `[proxy]` allows it.
//!
//! The door decides ([`door`]): who may ask, for which address, for how long, how much at once. The shell carries bytes
//! and understands none of them: what they mean is between the controller and the BMC, and sealed.

pub mod door;
pub mod shell;
pub mod subnet;
