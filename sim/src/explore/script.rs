//! What an exploration did, written down: it can be done again without dice, and with less in it.

use std::time::Duration;

use api::Request;

use super::Kind;
use crate::fault::Deed;
use crate::world::World;

/// Something that the dice do.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// To the world.
    Deed(Deed),
    /// To whoever leads then.
    Order(Request),
}

/// Acts of one throw at one moment: its beginning, or what ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// True time.
    pub at: Duration,
    /// Which throw, counted from 0.
    pub throw: usize,
    /// Of which kind.
    pub kind: Kind,
    /// What is done.
    pub acts: Vec<Act>,
}

impl Step {
    /// Does it.
    pub(super) fn carry_out(&self, world: &mut World) {
        for act in &self.acts {
            match act {
                Act::Deed(deed) => {
                    world.tell("dice", &deed.to_string());
                    world.inflict(deed);
                }
                Act::Order(request) => {
                    world.order(request.clone());
                }
            }
        }
    }
}

/// Deeds as acts.
pub(super) fn deeds(deeds: Vec<Deed>) -> Vec<Act> {
    deeds.into_iter().map(Act::Deed).collect()
}
