//! The list of domains that an agent sends without being asked: for people, and for a look at what should run.
//!
//! It is evidence for nothing. Whatever could hurt a VM rests on a [census](crate::census), which is asked with a nonce.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{BootId, NodeId};

/// Marks such a list among the application payloads that gossip carries.
pub const CHANNEL: u8 = 3;

/// Domains in one datagram, with what they use, so that it fits.
pub const DOMAINS_PER_PART: usize = 20;

/// Datagrams of one list. What does not fit is left out, and the list says so.
pub const MOST_PARTS: u16 = 32;

/// A domain, and what it uses as far as its source says. Unknown is `None`, and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its UUID, which is Nova's id of the server.
    pub id: Uuid,
    /// Processor time since it was started, in ms.
    pub cpu_ms: Option<u64>,
    /// Memory of the node that it occupies, in MiB.
    pub memory_mib: Option<u32>,
    /// Room on disks that it occupies, in MiB.
    pub disk_mib: Option<u32>,
}

impl Domain {
    /// A domain of which nothing else is known.
    pub fn unmeasured(id: Uuid) -> Self {
        Self { id, cpu_ms: None, memory_mib: None, disk_mib: None }
    }
}

/// What an agent sends to all controllers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Whose.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// Counts what this node has sent. It grows over restarts of the agent.
    pub number: u64,
    /// What it says.
    pub news: News,
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// All that runs, in `parts` datagrams of the same number.
    Whole {
        /// 0-based.
        part: u16,
        /// 1 to [`MOST_PARTS`], also for a node without domains.
        parts: u16,
        /// There are more domains than fit.
        cut: bool,
        /// [`DOMAINS_PER_PART`] at most.
        domains: Vec<Domain>,
    },
    /// What is different since the number before this one.
    Changed {
        /// These run now: [`DOMAINS_PER_PART`] / 2 at most.
        came: Vec<Domain>,
        /// These do not any more: [`DOMAINS_PER_PART`] / 2 at most.
        gone: Vec<Uuid>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gossip carries of one payload, less the byte of the channel.
    const MOST: usize = 999;

    fn list(news: News) -> usize {
        let (node, boot) = (NodeId(Uuid::max()), BootId(Uuid::max()));
        let list = List { node, boot, number: u64::MAX, news };
        postcard::to_stdvec(&list).expect("plain").len()
    }

    #[test]
    fn the_longest_list_fits_a_datagram() {
        let most = Domain {
            id: Uuid::max(),
            cpu_ms: Some(u64::MAX),
            memory_mib: Some(u32::MAX),
            disk_mib: Some(u32::MAX),
        };
        let domains = vec![most; DOMAINS_PER_PART];
        let whole = News::Whole { part: u16::MAX, parts: u16::MAX, cut: true, domains };
        assert!(list(whole) <= MOST);
        let half = DOMAINS_PER_PART / 2;
        let changed = News::Changed { came: vec![most; half], gone: vec![Uuid::max(); half] };
        assert!(list(changed) <= MOST);
    }
}
