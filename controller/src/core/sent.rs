//! What the nodes say to have sent, and how often this controller's own gossip had to wait: for people alone.

use std::collections::BTreeMap;
use std::time::Duration;

use fencing::sent::{Rate, Sent};
use fencing::{BootId, NodeId};

use crate::core::Controller;
use crate::registry::Node;

/// Told over another network every 30 s. Of who was not heard three times nothing is known.
const FRESH: Duration = Duration::from_secs(100);

/// What each node told last.
#[derive(Debug, Default)]
pub(super) struct Outlays {
    of: BTreeMap<NodeId, Told>,
}

#[derive(Debug)]
struct Told {
    at: Duration,
    boot: BootId,
    sent: Sent,
}

impl Controller {
    /// A node told what it has sent. One that does not serve has nothing to tell.
    pub(super) fn node_sent(&mut self, node: NodeId, boot: BootId, sent: Sent) {
        if self.registry.node(node).and_then(Node::serving_boot) == Some(boot) {
            self.outlays.of.insert(node, Told { at: self.now, boot, sent });
        }
    }

    pub(super) fn sent_view(&self, now: Duration, id: NodeId, node: &Node) -> Option<api::Sent> {
        let told = self.outlays.of.get(&id)?;
        let age = now.saturating_sub(told.at);
        if age > FRESH || node.serving_boot() != Some(told.boot) {
            return None;
        }
        let networks = self.settings.networks.iter().zip(&told.sent.networks);
        let on = networks.map(|(network, on)| api::SentOn {
            network: network.clone(),
            gossip: rate(on.gossip),
            all: rate(on.all),
            put_off: u64::from(on.put_off),
        });
        Some(api::Sent {
            age_s: age.as_secs_f64(),
            over_s: u64::from(told.sent.over_s),
            networks: on.collect(),
        })
    }

    /// Networks with how often this controller's gossip had to wait there. What left is known to its ports.
    pub(super) fn sent_here_view(&self) -> Vec<api::SentHere> {
        let networks = self.settings.networks.iter().zip(&self.sights);
        let here = |(network, sight): (&String, &crate::detect::Sight)| api::SentHere {
            network: network.clone(),
            put_off: sight.put_off(),
            ..api::SentHere::default()
        };
        networks.map(here).collect()
    }
}

fn rate(rate: Rate) -> api::Rate {
    let (packets, bytes) = (f64::from(rate.tenths) / 10.0, f64::from(rate.bytes));
    api::Rate { packets_per_s: packets, bytes_per_s: bytes }
}
