//! Carrying effects out, in their order.

use std::sync::Arc;

use fencing::bmc::proxy::Ways;
use fencing::sign::{self, Signer};
use gossip::witness::Probe;

use super::outgoing::LONGEST;
use super::{RunError, Shell};
use crate::effect::{Effect, Line};

impl Shell {
    /// Carries effects out. A write is durable before the next effect is looked at; an error ends the process.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), RunError> {
        self.recorder.lines(&effects);
        effects.into_iter().try_for_each(|effect| self.carry(effect))
    }

    fn carry(&mut self, effect: Effect) -> Result<(), RunError> {
        match effect {
            Effect::Persist(write) => self.store.write(&write).map_err(RunError::Write)?,
            Effect::Peer { to, message } => {
                let bytes = postcard::to_stdvec(&message).unwrap_or_default();
                match self.peers.get(&to) {
                    Some(peer) if (1..=LONGEST).contains(&bytes.len()) => peer.push(bytes),
                    Some(_) => {
                        tracing::error!(%to, bytes = bytes.len(), "a message too long to be sent")
                    }
                    None => {}
                }
            }
            Effect::Gossip { network, to, bytes } => {
                if let Some(way) = self.gossip.get(network.place()) {
                    let _ = way.queue.try_send((to, bytes));
                }
            }
            Effect::Ping { network, to, nonce } => {
                if let Some(way) = self.lease.get(network.place()) {
                    way.probe(to, Probe::Ping { nonce });
                }
            }
            Effect::Lease { network, to, message } => {
                let signer = Signer::Controller(self.config.id);
                let sealed = sign::seal(self.config.cluster, signer, &self.config.key, &message);
                if let (Some(way), Some(bytes)) = (self.lease.get(network.place()), sealed) {
                    way.send(to, &bytes);
                }
            }
            Effect::Bmc { ticket, node, level, via, ask, expect, not_after } => {
                let levels = self.inventory.bmcs.get(&node);
                let place = usize::from(level).checked_sub(1);
                let level =
                    levels.zip(place).and_then(|(levels, place)| levels.get(place)).cloned();
                let ways = Ways { caller: Arc::clone(&self.caller), usable: via };
                self.asks.bmc(ticket, (level, ways), ask, expect, not_after);
            }
            Effect::Nova { ticket, call, not_after } => {
                self.asks.nova(ticket, self.nova.clone(), call, not_after);
            }
            Effect::Answer { ticket, result } => {
                if let Some(answer) = self.answers.remove(&ticket) {
                    let _ = answer.send(result);
                }
            }
            Effect::Journal(line) => self.journal.write(&line),
            Effect::Halt(why) => {
                let level = crate::effect::Level::Broken;
                self.journal.write(&Line { level, subject: "raft", text: why.clone() });
                return Err(RunError::Halted(why));
            }
        }
        Ok(())
    }
}
