//! Talking to the BMC of a node: one question, one answer, nothing remembered between them.
//!
//! A question ([`Ask`]) is either "hard power off" or "read": each opens a fresh, authenticated
//! session, reads who answers ([`Identity`]), does its one thing and closes. What the answers mean
//! is not decided here: an accepted power off is no evidence, only the rule E1 over several reads
//! is. There is deliberately no power cycle, no reset, no soft shutdown and no power on: a slow BMC
//! executes resent commands again, and off is the only one of them for which twice is harmless.
//!
//! ```text
//!  ask() -- udp -------> ipmi::Session (core: datagrams and timeouts in, datagrams and Reply out)
//!     |                    | packet, message, rakp, crypto: the codec, shared with the stand-in BMC
//!     |---- redfish ----> redfish::Exchange (core: answers in, requests and Reply out)
//!     '---- agent ------> a program of fence-agents: key=value in, exit code and words out
//!  proxy::through()        the first two by way of a node, where controllers do not reach the BMC
//!  Level::ask()           all devices that only together take the power away
//! ```

mod answer;
mod device;
mod failure;
mod level;
mod target;
mod udp;

pub mod agent;
pub mod ipmi;
pub mod proxy;
pub mod redfish;
pub mod storage;

pub use answer::{Ask, Identity, Power, Refusal, Reply};
pub use device::{Device, ask, ask_by};
pub use failure::{Failure, Step};
pub use level::{Level, LevelKind};
pub use target::{BmcTarget, CipherSuite, Privilege, Secret};
pub use udp::ask as ipmi_over_udp;
