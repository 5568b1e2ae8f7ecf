//! What a lab consists of: names, ids, addresses and directories. Nothing is started here.
//!
//! ```text
//!  127.A.N.H      where host H listens on network N (0: beside the networks)     A: even, free at the start
//!  127.A+1.N.H    where the others send to; behind it is the cable
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};

use fencing::lease::Profile;
use uuid::Uuid;

use super::defects::Defect;

/// The networks, in the order of the reachability letters.
pub(super) const NETWORKS: [&str; 3] = ["management", "storage", "tenant"];
/// Gossip.
pub(super) const GOSSIP: u16 = 7946;
/// Renewals, asks and witness pings.
pub(super) const LEASE: u16 = 7947;

const API: u16 = 8440;
const PEER: u16 = 8441;
const NOVA: u16 = 8774;
const BMC: u16 = 6230;
/// Held while a lab runs, so that another one takes other addresses.
const LOCK: u16 = 7900;
const NOVA_HOST: u8 = 200;
const FIRST_NODE: u8 = 11;

/// A host by its last address byte: controllers from 1, nodes from 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(pub(super) u8);

/// Second byte of the addresses of one lab, and the lock on it.
#[derive(Debug)]
pub(super) struct Block {
    octet: u8,
    /// Whether there are no cables: hosts are reached where they listen.
    direct: bool,
    _lock: UdpSocket,
}

impl Block {
    /// A block that no other lab uses.
    pub(super) fn free() -> io::Result<Self> {
        let mut last = io::Error::other("no block");
        for octet in (64..=250).step_by(2) {
            match UdpSocket::bind(at(octet, 0, Host(NOVA_HOST), LOCK)) {
                Ok(lock) => return Ok(Self { octet, direct: false, _lock: lock }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where a host listens; network 0 is beside the networks.
    pub(super) fn listen(&self, network: usize, host: Host, port: u16) -> SocketAddrV4 {
        at(self.octet, network + 1, host, port)
    }

    /// Where others reach it, through its cable.
    pub(super) fn advertised(&self, network: usize, host: Host, port: u16) -> SocketAddrV4 {
        let octet = if self.direct { self.octet } else { self.octet + 1 };
        at(octet, network + 1, host, port)
    }

    /// Second byte of all its addresses.
    pub(super) fn octet(&self) -> u8 {
        self.octet
    }

    /// Network and host of a listen address.
    pub(super) fn whose(&self, address: SocketAddrV4) -> Option<(usize, Host)> {
        let [127, octet, network, host] = address.ip().octets() else { return None };
        let network = usize::from(network).checked_sub(1).filter(|n| *n < NETWORKS.len())?;
        (octet == self.octet).then_some((network, Host(host)))
    }

    fn beside(&self, host: Host, port: u16) -> SocketAddrV4 {
        at(self.octet, 0, host, port)
    }

    /// Where the Nova stand-in serves.
    pub(super) fn nova(&self) -> SocketAddr {
        self.beside(Host(NOVA_HOST), NOVA).into()
    }
}

fn at(octet: u8, network: usize, host: Host, port: u16) -> SocketAddrV4 {
    let network = u8::try_from(network).unwrap_or(u8::MAX);
    SocketAddrV4::new(Ipv4Addr::new(127, octet, network, host.0), port)
}

/// A controller to be.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    /// 1 to 3.
    pub(super) id: u64,
    /// `controller-1`.
    pub(super) name: String,
    /// Its addresses.
    pub(super) host: Host,
    /// Where its API serves.
    pub(super) api: SocketAddrV4,
    /// Where the other controllers reach it.
    pub(super) peer: SocketAddrV4,
    /// Its files.
    pub(super) dir: PathBuf,
}

/// A node to be.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `node-1`; Nova's service host too.
    pub(super) name: String,
    /// Its id for life.
    pub(super) id: Uuid,
    /// Failure domain.
    pub(super) domain: &'static str,
    /// Its addresses.
    pub(super) host: Host,
    /// Where its BMC answers.
    pub(super) bmc: SocketAddrV4,
    /// Its files.
    pub(super) dir: PathBuf,
    /// What is wrong with it, in a lab of defects.
    pub(super) defect: Option<Defect>,
}

impl Node {
    /// Where the boot id of the running boot is.
    pub(super) fn boot_file(&self) -> PathBuf {
        self.dir.join("boot_id")
    }

    /// Its watchdog's socket.
    pub(super) fn watchdog(&self) -> PathBuf {
        self.dir.join("watchdog")
    }

    /// Memory-backed files: they end with the boot.
    pub(super) fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// A file per running VM, named by its UUID.
    pub(super) fn domains(&self) -> PathBuf {
        self.dir.join("domains")
    }
}

/// The whole lab.
#[derive(Debug)]
pub(super) struct Plan {
    /// Everything is in here.
    pub(super) dir: PathBuf,
    /// Whether there are programs and watchdogs alone: no cables, no BMCs, no Nova.
    pub(super) bare: bool,
    /// Whose times nodes and controllers have.
    pub(super) profile: Profile,
    /// Cluster id.
    pub(super) cluster: Uuid,
    /// Its addresses.
    pub(super) block: Block,
    /// Three controllers.
    pub(super) controllers: Vec<Controller>,
    /// The nodes.
    pub(super) nodes: Vec<Node>,
}

/// Controllers of a lab.
const CONTROLLERS: u8 = 3;

impl Plan {
    /// A lab with so many nodes below this directory.
    pub(super) fn new(dir: &Path, nodes: u8, defects: bool) -> io::Result<Self> {
        let block = Block::free()?;
        let controllers = (1..=CONTROLLERS).map(|id| Controller {
            id: u64::from(id),
            name: format!("controller-{id}"),
            host: Host(id),
            api: block.beside(Host(id), API),
            peer: block.beside(Host(id), PEER),
            dir: dir.join(format!("controller-{id}")),
        });
        let controllers = controllers.collect();
        let nodes = (1..=nodes).map(|number| {
            let host = Host(FIRST_NODE + number - 1);
            Node {
                name: format!("node-{number}"),
                id: fresh_id(),
                domain: if number % 2 == 1 { "rack-1" } else { "rack-2" },
                host,
                bmc: block.beside(host, BMC),
                dir: dir.join(format!("node-{number}")),
                defect: Defect::of(number).filter(|_| defects),
            }
        });
        let nodes = nodes.collect();
        let dir = dir.to_owned();
        let (bare, profile) = (false, Profile::Fast);
        Ok(Self { dir, bare, profile, cluster: fresh_id(), block, controllers, nodes })
    }

    /// A cluster of programs alone, whose hosts reach each other directly.
    pub(super) fn bare(dir: &Path, nodes: u8, profile: Profile) -> io::Result<Self> {
        let mut plan = Self::new(dir, nodes, false)?;
        (plan.bare, plan.profile, plan.block.direct) = (true, profile, true);
        Ok(plan)
    }

    /// Every host with its cables.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let controllers = self.controllers.iter().map(|controller| controller.host);
        controllers.chain(self.nodes.iter().map(|node| node.host)).collect()
    }

    /// File with the API's token.
    pub(super) fn token_file(&self) -> PathBuf {
        self.dir.join("token")
    }

    /// The witness: every running VM writes a line here ten times a second.
    pub(super) fn shared_disk(&self) -> PathBuf {
        self.dir.join("shared-disk.log")
    }

    /// The controllers' URLs, as `hactl --controllers` takes them.
    pub(super) fn urls(&self) -> Vec<String> {
        self.controllers.iter().map(|controller| format!("http://{}", controller.api)).collect()
    }
}

/// A random id from the kernel.
pub(super) fn fresh_id() -> Uuid {
    let mut bytes = [0; 16];
    // Without it ids repeat between labs, which nobody compares.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_tells_network_and_host_and_an_advertised_one_does_not() {
        let block = Block::free().expect("a free block");
        let host = Host(12);
        assert_eq!(block.whose(block.listen(2, host, 4000)), Some((2, host)));
        assert_eq!(block.whose(block.advertised(2, host, 4000)), None);
        assert_eq!(block.whose(block.beside(host, 4000)), None);
    }

    #[test]
    fn two_labs_have_different_addresses() {
        let (one, other) = (Block::free().expect("one"), Block::free().expect("another"));
        assert_ne!(one.octet, other.octet);
    }
}
