//! Redfish over TLS (DMTF DSP0266), only what fencing needs: who answers, its power, and ForceOff.
//!
//! The core is [`Exchange`]: one question, from the service root to the end of the session. It
//! makes requests and takes answers; the shell carries them, each question over a connection of its
//! own, so that no answer of an earlier question can be taken for one of a later.
//!
//! ```text
//! http      the shell: connection, deadline, bounds of size
//! trust     which certificate is the BMC's: a pinned one, or one that a named authority signed
//! exchange  the core: root, login, system, identity, reset, logout
//! resource  the few properties that are read, and which of their values are believed
//! ```
//!
//! Absent on purpose: plain HTTP, redirects, certificates that nobody vouches for, every reset type
//! but ForceOff, and waiting for the tasks of a BMC: reads tell what became of an off.

mod exchange;
mod failure;
mod http;
mod resource;
mod target;
mod trust;

pub use exchange::{Answer, Auth, Body, Exchange, Method, Next, Plan, Request};
pub use failure::{RedfishFailure, Stage};
pub use http::ask;
pub(in crate::bmc) use http::ask_by;
pub use target::{LogIn, RedfishTarget};
pub use trust::{Trust, Unusable};
