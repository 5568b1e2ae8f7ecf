//! Scenarios: stories that somebody wrote down, with what must come of them.
//!
//! A file consists of blocks, separated by empty lines. A block is comments and commands, then `----`, then the lines
//! that the cluster's journal and hardware told while the commands ran. `docs/simulator.md` has the commands.

mod checks;
mod deeds;
mod links;
mod nova;
mod orders;
mod parse;
mod play;
mod recovery;
mod written;

pub(crate) use checks::{DISK_FENCES, disk_fences};
pub use parse::{BadScenario, Scenario};
pub use play::{Endured, Failed, Played};
pub use written::written;
