//! SWIM membership on one network, and what makes it fit for a product that switches nodes off.
//!
//! A program runs one [`group::Group`] for each network. The group finds out who is there, raises
//! suspicions, spreads fence events and carries small payloads. **It only ever gives hints**: one
//! deaf or slow member can make healthy ones look dead, in every SWIM there is. Witnesses
//! ([`witness`], asked by the leader) and the controllers' sweep ([`sweep`]) see for themselves, and
//! the verdict is theirs.
//!
//! ```text
//!             gossip port                          ping port (the sentinel answers)
//!   udp::Wire  -- sealed datagrams (seal) --        udp::Wire
//!       |                                              |
//!   group::Group     foca inside,                  witness::Witness   pings a suspect when asked
//!    hints, events,  exchange, broadcasts          sweep::Sweep       pings every member once a second
//! ```
//!
//! Everything but [`udp`] is a core: events and the time go in, effects come out, and the same seed
//! and the same events give the same effects, byte for byte. What is deliberately absent: the
//! network's name inside the group, any action on the word "dead", wall clocks.

#![forbid(unsafe_code)]

pub mod identity;

pub mod ceiling;
pub mod config;
pub mod group;

pub mod packet;
pub mod seal;

pub mod sweep;
pub mod witness;

pub mod udp;
