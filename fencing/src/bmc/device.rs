//! What can switch a node off, whatever it speaks.

use std::fmt;
use std::time::Duration;

use super::agent::{self, AgentTarget, StorageHook};
use super::proxy::{self, Proxied, Ways};
use super::redfish::{self, RedfishTarget};
use super::{Ask, BmcTarget, Identity, Reply, storage, udp};

/// One device that can switch a node off and tell its power.
#[derive(Clone, Debug)]
pub enum Device {
    /// A BMC that speaks IPMI 2.0 over LAN.
    Ipmi(BmcTarget),
    /// A system behind a Redfish service.
    Redfish(RedfishTarget),
    /// Whatever a fence agent can switch.
    Agent(AgentTarget),
    /// A storage that keeps the node out; it switches nothing off.
    Storage(StorageHook),
    /// A BMC that controllers reach only by way of nodes.
    Proxied(Proxied),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipmi(target) => write!(f, "ipmi {}", target.addr),
            Self::Redfish(target) => write!(f, "redfish {}", target.addr),
            Self::Storage(hook) => write!(f, "storage hook {}", hook.program().display()),
            Self::Proxied(proxied) => write!(f, "{proxied}"),
            Self::Agent(target) => write!(f, "fence agent {}", target.program().display()),
        }
    }
}

/// Asks a device one question in a session of its own; returns within `deadline` and a moment. With
/// [`Ask::Off`] and `expect`, nothing is switched off unless exactly that identity was read in the
/// same session; with [`Ask::Read`] the caller compares.
///
/// It never fails to return a [`Reply`]. No reply to an off is evidence of anything.
pub async fn ask(device: &Device, ask: Ask, expect: Option<Identity>, deadline: Duration) -> Reply {
    ask_by(device, ask, expect, deadline, None).await
}

/// As [`ask()`], where there may be proxies; without `ways` a device behind some is not asked.
pub async fn ask_by(
    device: &Device,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
    ways: Option<&Ways>,
) -> Reply {
    match device {
        Device::Ipmi(target) => udp::ask(target, ask, expect, deadline).await,
        Device::Redfish(target) => redfish::ask(target, ask, expect, deadline).await,
        Device::Agent(target) => agent::ask(target, ask, expect, deadline).await,
        Device::Proxied(proxied) => proxy::through(proxied, ask, expect, deadline, ways).await,
        Device::Storage(hook) => storage::ask(hook, ask, expect, deadline).await,
    }
}
