//! Stand-ins: Nova and BMCs that answer as the real ones do, as plain models and as servers for the lab.

pub mod bmc;
pub mod nova;
