//! Several devices that only together take the power from a node, such as the outlets of both of its
//! feeds: all are switched off, then all are read, and one that is not off is a node that is not off.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::proxy::Ways;
use super::storage::StorageFence as _;
use super::{Ask, Device, Failure, Identity, Power, Reply, ask_by};
use crate::NodeId;

/// The devices of a node, at least one.
#[derive(Clone, Debug)]
pub struct Level {
    first: Device,
    others: Vec<Device>,
}

/// What the devices of a level prove together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LevelKind {
    /// So many devices that switch the node's power off; several do so only together.
    Power(u8),
    /// The block list of a storage, with so many addresses of the node.
    Storage(u8),
}

impl From<Device> for Level {
    fn from(device: Device) -> Self {
        Self { first: device, others: Vec::new() }
    }
}

impl Level {
    /// The devices in their order; `None` where there is none.
    pub fn new(devices: Vec<Device>) -> Option<Self> {
        let mut devices = devices.into_iter();
        Some(Self { first: devices.next()?, others: devices.collect() })
    }

    /// What they prove together.
    pub fn kind(&self) -> LevelKind {
        let small = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        match &self.first {
            Device::Storage(hook) => LevelKind::Storage(small(hook.addresses().len())),
            Device::Ipmi(_) | Device::Redfish(_) | Device::Agent(_) | Device::Proxied(_) => {
                LevelKind::Power(small(self.others.len() + 1))
            }
        }
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Nodes by way of which some of them are asked; empty where controllers reach all.
    pub fn proxies(&self) -> Vec<NodeId> {
        let of = |device: &Device| match device {
            Device::Proxied(proxied) => proxied.proxies().iter().map(|proxy| proxy.node).collect(),
            Device::Ipmi(_) | Device::Redfish(_) | Device::Agent(_) | Device::Storage(_) => vec![],
        };
        let nodes: BTreeSet<NodeId> = self.devices().flat_map(of).collect();
        nodes.into_iter().collect()
    }

    /// As [`Level::ask_by`], without proxies: a device behind some is not asked.
    pub async fn ask(&self, question: Ask, expect: Option<Identity>, deadline: Duration) -> Reply {
        self.ask_by(question, expect, deadline, None).await
    }

    /// Asks all devices at once, as [`ask_by`] asks one. The identity of several is the digest of all of
    /// theirs; before an off all are read, and none is switched off unless that digest is `expect`.
    pub async fn ask_by(
        &self,
        question: Ask,
        expect: Option<Identity>,
        deadline: Duration,
        ways: Option<&Ways>,
    ) -> Reply {
        if self.others.is_empty() {
            return ask_by(&self.first, question, expect, deadline, ways).await;
        }
        let limit = Instant::now() + deadline;
        let reads = self.each(Ask::Read, &[], deadline, ways).await;
        match question {
            Ask::Read => self.all_read(reads),
            Ask::Off => {
                let who: Vec<_> = reads.iter().map(identity).collect();
                let reply = self.all_read(reads);
                let Reply::Read { identity, .. } = reply else { return reply };
                if let Some(expected) = expect
                    && identity != Some(expected)
                {
                    let read = identity;
                    return Reply::Failed(Failure::WrongIdentity { expected, read });
                }
                let left = limit.saturating_duration_since(Instant::now());
                let offs = self.each(Ask::Off, &who, left, ways).await;
                self.all_sent(offs, identity)
            }
        }
    }

    /// The replies of all, in the order of the devices.
    async fn each(
        &self,
        question: Ask,
        expect: &[Option<Identity>],
        deadline: Duration,
        ways: Option<&Ways>,
    ) -> Vec<Reply> {
        let mut asks = JoinSet::new();
        for (place, device) in self.devices().cloned().enumerate() {
            let expect = expect.get(place).copied().flatten();
            let ways = ways.cloned();
            asks.spawn(async move {
                let reply = ask_by(&device, question, expect, deadline, ways.as_ref()).await;
                (place, reply)
            });
        }
        let mut replies = asks.join_all().await;
        replies.sort_by_key(|(place, _)| *place);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    fn all_read(&self, replies: Vec<Reply>) -> Reply {
        let who: Option<Vec<_>> = replies.iter().map(identity).collect();
        let mut together = Power::Off;
        for (device, reply) in self.devices().zip(replies) {
            match reply {
                Reply::Read { power: Power::Off, .. } => {}
                // One that is on is on, whatever the others are.
                Reply::Read { power: Power::On, .. } => together = Power::On,
                Reply::Read { power: power @ Power::Other(_), .. } => {
                    if together != Power::On {
                        together = power;
                    }
                }
                Reply::Failed(failure) => return of(device, failure),
                Reply::OffSent { .. } => return of(device, Failure::Malformed("no read".into())),
            }
        }
        Reply::Read { power: together, identity: who.as_deref().map(digest) }
    }

    fn all_sent(&self, replies: Vec<Reply>, identity: Option<Identity>) -> Reply {
        let mut any = None;
        for (device, reply) in self.devices().zip(replies) {
            match reply {
                Reply::OffSent { refused, .. } => any = any.or(refused),
                Reply::Failed(failure) => return of(device, failure),
                Reply::Read { .. } => return of(device, Failure::Malformed("no off".into())),
            }
        }
        Reply::OffSent { identity, refused: any }
    }
}

fn identity(reply: &Reply) -> Option<Identity> {
    match reply {
        Reply::Read { identity, .. } | Reply::OffSent { identity, .. } => *identity,
        Reply::Failed(_) => None,
    }
}

fn of(device: &Device, failure: Failure) -> Reply {
    let (device, failure) = (device.to_string(), Box::new(failure));
    Reply::Failed(Failure::OneOf { device, failure })
}

/// Who all of them are together.
fn digest(of: &[Identity]) -> Identity {
    let mut digest = Sha256::new().chain_update(b"holdfast level v1\0");
    of.iter().for_each(|identity| digest.update(identity.0));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.finalize()).for_each(|(byte, from)| *byte = from);
    Identity(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::agent::AgentTarget;

    const A: Identity = Identity([1; 16]);
    const B: Identity = Identity([2; 16]);

    fn level() -> Level {
        let agent = |name: &str| AgentTarget::new(name.into(), [].into(), None).unwrap();
        Level::new(vec![Device::Agent(agent("/a")), Device::Agent(agent("/b"))]).unwrap()
    }

    fn read(power: Power, identity: Identity) -> Reply {
        Reply::Read { power, identity: Some(identity) }
    }

    fn together(a: Power, b: Power) -> Power {
        match level().all_read(vec![read(a, A), read(b, B)]) {
            Reply::Read { power, .. } => power,
            reply @ (Reply::Failed(_) | Reply::OffSent { .. }) => panic!("{reply}"),
        }
    }

    #[test]
    fn a_node_is_off_when_all_of_its_feeds_are() {
        let other = || Power::Other("PoweringOff".into());
        assert_eq!(together(Power::Off, Power::Off), Power::Off);
        assert_eq!(together(Power::Off, Power::On), Power::On);
        assert_eq!(together(Power::On, Power::Off), Power::On);
        assert_eq!(together(Power::Off, other()), other());
        assert_eq!(together(other(), Power::On), Power::On);
    }

    #[test]
    fn one_that_fails_is_no_answer_of_all() {
        let reply = level().all_read(vec![read(Power::Off, A), Reply::Failed(Failure::NoAnswer)]);
        let Reply::Failed(failure) = reply else { panic!("{reply}") };
        assert!(failure.to_string().starts_with("fence agent /b: no answer"), "{failure}");
        let sent = || Reply::OffSent { identity: Some(A), refused: None };
        let reply = level().all_sent(vec![sent(), Reply::Failed(Failure::NoAnswer)], Some(A));
        assert!(matches!(reply, Reply::Failed(_)));
        assert_eq!(level().all_sent(vec![sent(), sent()], Some(A)), sent());
    }

    #[test]
    fn all_of_them_have_one_identity_and_without_one_of_theirs_none() {
        let of = |a: Option<Identity>, b: Option<Identity>| {
            let read = |identity| Reply::Read { power: Power::Off, identity };
            identity(&level().all_read(vec![read(a), read(b)]))
        };
        assert!(of(Some(A), Some(B)).is_some());
        assert_ne!(of(Some(A), Some(B)), of(Some(B), Some(A)));
        assert_eq!(of(Some(A), None), None);
    }
}
