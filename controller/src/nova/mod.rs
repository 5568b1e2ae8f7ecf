//! Nova and Keystone: what the controller asks of them and what their answers mean.
//!
//! `call` and `room` hold the types that the core decides on; `client` is the shell that carries a [`call::Call`] out over
//! HTTP. The client decides nothing but this: a read may be repeated, a write never is.

pub mod call;
pub mod client;
pub mod room;

pub use call::*;
pub use room::{AggregateRecord, GroupRecord, HypervisorRecord, Labels};
