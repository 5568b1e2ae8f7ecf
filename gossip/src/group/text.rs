//! The words of events and effects: log, journal and golden files print these and no others.

use std::fmt;

use super::{Effect, Event, State};

impl fmt::Display for Event<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Packet { from, bytes } => write!(out, "packet of {} from {from}", bytes.len()),
            Event::Timeout => write!(out, "timeout"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Send { to, bytes } => write!(out, "send {} to {to}", bytes.len()),
            Effect::ProbeFailed { member } => write!(out, "probe failed: {member}"),
            Effect::MemberUp(member) => write!(out, "member up: {member}"),
            Effect::MemberDown(member) => write!(out, "member down: {member}"),
            Effect::Renamed { from, to } => write!(out, "renamed: {from} is now {to}"),
            Effect::Heard { key, epoch, bytes } => {
                write!(out, "heard {key:032x} epoch {}.{}, {}", epoch.0, epoch.1, bytes.len())
            }
            Effect::PutOff { count } => write!(out, "put off {count} because of the ceiling"),
            Effect::Talk { from, bytes } => write!(out, "talk of {} from {from}", bytes.len()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Down => "dead",
        })
    }
}
