//! Health checks: what the node says of itself, beside what others see of it.
//!
//! ```text
//!  plan (when, how often in a row) -> core -> Run --> probe: script, http, tcp, mount, ...   shells, one for each kind
//!                                     ^   <-- outcome: ok, warning, critical, unknown
//!                                     |                                 `push`, by a local socket
//!                                     '-> report: changes at once, a digest every ten seconds, all of it when asked
//! ```
//!
//! A check says what it says: what follows from it is decided by the operator's action matrix and the controllers' guards.

mod core;
mod plan;
mod watch;

mod door;
mod http;
mod kernel_log;
mod libvirt;
mod mount;
mod probe;
mod push;
mod script;
mod shell;
mod tcp;
mod temperature;
#[cfg(test)]
mod tests;

pub use self::core::{Checks, Deed, Over};
pub use mount::{exit_code, try_mount};
pub use plan::{Outcome, Plan};
pub use probe::{Page, Patterns, Probe};
pub use push::{PushError, push};
pub use shell::Shell;

/// A check as it is configured: when it is done, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// When, and how often in a row.
    pub plan: Plan,
    /// What.
    pub probe: Probe,
}
