//! The agent: gossip and witness on every network, census, fence events. It may crash, hang or be upgraded at any time;
//! nothing that it says or omits is ever a reason to fence, and what reaches the sentinel through it is verified there.

mod core;
mod domains;
mod lane;
mod life;
mod measured;
mod recorder;
mod reports;
mod sent;
mod shell;
mod strays;
#[cfg(test)]
mod tests;
mod words;

pub use self::core::{Agent, Effect, Event, Network, Setup};
pub use domains::DomainsError;
pub use lane::WITNESS_CHANNEL;
pub use shell::{AgentError, run};
