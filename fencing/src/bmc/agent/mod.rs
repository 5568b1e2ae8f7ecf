//! Fence agents: programs that speak the key=value protocol of the fence-agents project, for devices
//! that we do not speak to ourselves.
//!
//! One question is one run of the program: parameters and password on its standard input, nothing on
//! its command line, an empty environment, no shell, a process group that is killed at the deadline, by
//! `timeout` of coreutils even where this process hangs.
//!
//! ```text
//! run       the shell: the process, its deadline, bounds of its output
//! protocol  what goes in, and what exit code and output mean together
//! metadata  which parameters and actions the agent knows, for it passes over those that it does not
//! ```
//!
//! What an agent cannot give: it reads no identity of the machine. In its place stands the digest of
//! program and parameters, so that what was enrolled is what the inventory said then.

mod failure;
mod hook;
mod metadata;
mod protocol;
mod run;
mod target;

pub use failure::AgentFailure;
pub use hook::StorageHook;
pub use metadata::Metadata;
pub use protocol::Action;
pub use run::ask;
pub use target::{AgentTarget, Refused};
