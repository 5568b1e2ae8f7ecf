//! The controller: verdicts, guards, fencing and recovery by a leader that Raft elects.
//!
//! ```text
//!  Event -> core::Controller -> Effect                         decides; no clock, no I/O
//!            | detect     who reaches whom, per network
//!            | guard      questions asked before a fence
//!            | policy     which VMs are moved, in which order
//!            | registry   the replicated state: what is committed has happened
//!            | raft       the log
//!            | record     what went in and what was said, to be replayed
//!  shell: sockets, disk, BMCs, Nova (nova::client), API (serve)   waits, carries out, decides nothing
//! ```
//!
//! One failure's way through this crate is told in `docs/architecture.md`, function by function.
#![forbid(unsafe_code)]

pub mod config;
pub mod core;
pub mod detect;
pub mod effect;
pub mod event;
pub mod guard;
pub mod nova;
pub mod policy;
pub mod raft;
pub mod record;
pub mod registry;
pub mod serve;
pub mod shell;
