//! Namespaces, bridges, cables, and what is wrong with them.
//!
//! ```text
//!  hub (this process)     bridges beside, management, storage, tenant
//!    c1 .. c3, n1 .. n7   a namespace each; c1-storage in the hub is the other end of c1's cable to storage
//!
//!  198.18.N.H             host H on network N; 0 is beside the networks: the controllers' own, never touched
//! ```
//!
//! Datagrams are dropped at the bridge's end of a cable, for a host whose own rule drops them is told so by its kernel. Only
//! IPv4 is dropped: without ARP a cut in one direction soon is one in both.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::{hosts, must};

/// The networks, in the order of the third byte of an address.
pub(crate) const NETWORKS: [&str; 3] = ["management", "storage", "tenant"];
/// Beside the networks: what controllers say to each other, and the API.
const BESIDE: &str = "beside";

/// Seen from the host.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// What it should get.
    In,
    /// What it sends.
    Out,
}

/// Why namespaces cannot be had here, if so.
pub(crate) fn can_be_laid() -> Result<(), String> {
    for (program, package) in [("ip", "iproute2"), ("nft", "nftables"), ("unshare", "util-linux")] {
        let there = Command::new(program).arg("-V").stdout(Stdio::null()).status();
        if there.is_err() {
            return Err(format!("{program} (package {package}) is not here"));
        }
    }
    let tried = in_namespaces(Path::new("true")).stderr(Stdio::null()).status();
    match tried {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err("neither root nor this user may make namespaces here".to_owned()),
    }
}

/// A program in network and mount namespaces of its own, where the names of further namespaces are nobody else's. It ends
/// with this process, and they with it.
pub(crate) fn in_namespaces(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "--fork", "--kill-child", "--"]);
    command.args([
        "sh",
        "-c",
        "mount -t tmpfs tmpfs /run && mkdir /run/netns && exec \"$@\"",
        "sh",
    ]);
    command.arg(program);
    command
}

/// The laid cables.
pub(crate) struct Cables;

impl Cables {
    /// Makes bridges and hosts. To be called inside.
    pub(crate) fn lay() -> Result<Self> {
        must("ip", &["link", "set", "lo", "up"])?;
        for bridge in [BESIDE].iter().chain(&NETWORKS) {
            must("ip", &["link", "add", bridge, "type", "bridge"])?;
            must("ip", &["link", "set", bridge, "up"])?;
        }
        // For hactl, which runs in the hub.
        must("ip", &["addr", "add", "198.18.0.250/24", "dev", BESIDE])?;
        for (host, number) in hosts() {
            must("ip", &["netns", "add", &host])?;
            must("ip", &["-n", &host, "link", "set", "lo", "up"])?;
            for (place, bridge) in [BESIDE].iter().chain(&NETWORKS).enumerate() {
                let (outer, address) =
                    (cable(&host, bridge), format!("198.18.{place}.{number}/24"));
                let pair = ["link", "add", &outer, "type", "veth", "peer", "name", bridge];
                must("ip", &[&pair[..], &["netns", &host]].concat())?;
                must("ip", &["link", "set", &outer, "master", bridge, "up"])?;
                must("ip", &["-n", &host, "addr", "add", &address, "dev", bridge])?;
                must("ip", &["-n", &host, "link", "set", bridge, "up"])?;
            }
        }
        Ok(Self)
    }

    /// So many of a hundred datagrams are lost on a host's way in or out.
    pub(crate) fn lose(&self, host: &str, network: &str, way: Way, percent: u8) -> Result<()> {
        let device = cable(host, network);
        // What leaves the bridge by this cable is what the host gets.
        let (hook, chain) = match way {
            Way::In => ("egress", format!("{host}_{network}_in")),
            Way::Out => ("ingress", format!("{host}_{network}_out")),
        };
        must("nft", &["add", "table", "netdev", "faults"])?;
        let hook = format!("{{ type filter hook {hook} device \"{device}\" priority 0; }}");
        must("nft", &["add", "chain", "netdev", "faults", &chain, &hook])?;
        let some = if percent < 100 {
            format!("numgen random mod 100 < {percent}")
        } else {
            String::new()
        };
        let rule = format!("meta protocol ip {some} drop");
        must("nft", &["add", "rule", "netdev", "faults", &chain, &rule])?;
        Ok(())
    }

    /// The link is gone, at both ends.
    pub(crate) fn pull(&self, host: &str, network: &str) -> Result<()> {
        must("ip", &["link", "set", &cable(host, network), "down"]).map(drop)
    }

    /// The link is there again.
    pub(crate) fn plug(&self, host: &str, network: &str) -> Result<()> {
        must("ip", &["link", "set", &cable(host, network), "up"]).map(drop)
    }

    /// The whole network is dark, and every link is still there.
    pub(crate) fn switch_off(&self, network: &str) -> Result<()> {
        must("ip", &["link", "set", network, "down"]).map(drop)
    }

    /// No datagram is dropped any more.
    pub(crate) fn lose_nothing(&self) -> Result<()> {
        // Twice is harmless, and nothing to remove is no error: the table is made first.
        must("nft", &["add", "table", "netdev", "faults"])?;
        must("nft", &["delete", "table", "netdev", "faults"]).map(drop)
    }

    /// Everything is as it was laid.
    pub(crate) fn heal(&self) -> Result<()> {
        self.lose_nothing()?;
        for network in NETWORKS {
            must("ip", &["link", "set", network, "up"])?;
            for (host, _) in hosts() {
                self.plug(&host, network)?;
            }
        }
        Ok(())
    }
}

/// The bridge's end of a host's cable.
pub(crate) fn cable(host: &str, network: &str) -> String {
    format!("{host}-{network}")
}
