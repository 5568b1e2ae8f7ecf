//! A device that is asked by way of its proxies, one after the other.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Caller, Proxy, ProxyFailure, Transport, Tunnel, dial};
use crate::NodeId;
use crate::bmc::{
    Ask, BmcTarget, Device, Failure, Identity, Reply, redfish, redfish::RedfishTarget, udp,
};

/// A device that controllers reach only through nodes.
#[derive(Clone, Debug)]
pub struct Proxied {
    behind: Behind,
    proxies: Vec<Proxy>,
}

/// What can be reached so. A program of fence-agents opens its own connections, and nothing can carry them.
#[derive(Clone, Debug)]
enum Behind {
    Ipmi(BmcTarget),
    Redfish(RedfishTarget),
}

/// Who may be asked to carry a question, and as whom.
#[derive(Clone, Debug)]
pub struct Ways {
    /// As whom.
    pub caller: Arc<Caller>,
    /// Nodes that are up: others are not tried.
    pub usable: Vec<NodeId>,
}

impl Proxied {
    /// A device behind these nodes, in the order in which they are tried. `None`: it cannot be reached so, or there is none.
    pub fn new(device: Device, proxies: Vec<Proxy>) -> Option<Self> {
        let behind = match device {
            Device::Ipmi(target) => Behind::Ipmi(target),
            Device::Redfish(target) => Behind::Redfish(target),
            Device::Agent(_) | Device::Storage(_) | Device::Proxied(_) => return None,
        };
        (!proxies.is_empty()).then_some(Self { behind, proxies })
    }

    /// The nodes, in the order in which they are tried.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.proxies.iter().map(|proxy| proxy.name.as_str()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Proxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.behind {
            Behind::Ipmi(target) => write!(f, "ipmi {}", target.addr)?,
            Behind::Redfish(target) => write!(f, "redfish {}", target.addr)?,
        }
        write!(f, " by way of {}", self.names())
    }
}

/// Asks a device through one proxy after the other, until one question has an answer. Whatever keeps it from its answer
/// may be the proxy's doing, so every failure is a reason to try the next; the last one has all the time that is left.
/// An off may so be sent twice, which is harmless.
pub(in crate::bmc) async fn through(
    proxied: &Proxied,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
    ways: Option<&Ways>,
) -> Reply {
    let limit = Instant::now() + deadline;
    let usable = |proxy: &&Proxy| ways.is_some_and(|ways| ways.usable.contains(&proxy.node));
    let mut candidates = proxied.proxies.iter().filter(usable).peekable();
    let Some(caller) = ways.map(|ways| &ways.caller).filter(|_| candidates.peek().is_some()) else {
        return Reply::Failed(ProxyFailure::NoneUp(proxied.names()).into());
    };
    let mut tried = Vec::new();
    while let Some(proxy) = candidates.next() {
        let left = limit.saturating_duration_since(Instant::now());
        let share = if candidates.peek().is_some() { left * 3 / 5 } else { left };
        if share.is_zero() {
            break;
        }
        match by_one(proxied, proxy, caller, (ask, expect), Instant::now() + share).await {
            Reply::Failed(failure) => tried.push((proxy.name.clone(), failure)),
            reply @ (Reply::OffSent { .. } | Reply::Read { .. }) => return reply,
        }
    }
    Reply::Failed(Failure::ByProxies(tried))
}

async fn by_one(
    proxied: &Proxied,
    proxy: &Proxy,
    caller: &Arc<Caller>,
    (ask, expect): (Ask, Option<Identity>),
    limit: Instant,
) -> Reply {
    let (to, how) = match &proxied.behind {
        Behind::Ipmi(target) => (target.addr, Transport::Udp),
        Behind::Redfish(target) => (target.addr, Transport::Tcp),
    };
    let stream = match dial(proxy, caller, to, how, limit).await {
        Ok(stream) => stream,
        Err(failure) => return Reply::Failed(failure.into()),
    };
    let left = limit.saturating_duration_since(Instant::now());
    match &proxied.behind {
        Behind::Ipmi(target) => {
            udp::ask_over(target, ask, expect, left, udp::Line::Carried(Framed::new(stream))).await
        }
        Behind::Redfish(target) => {
            let dialled = (proxy.clone(), Arc::clone(caller), to);
            match Tunnel::open(stream, dialled, limit).await {
                Ok(tunnel) => redfish::ask_by(target, ask, expect, left, Some(&tunnel)).await,
                Err(error) => Reply::Failed(Failure::Socket(error.to_string())),
            }
        }
    }
}

/// Datagrams in a stream, each after its length in two bytes.
#[derive(Debug)]
pub(in crate::bmc) struct Framed {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Framed {
    fn new(stream: TcpStream) -> Self {
        Self { stream, inbox: Vec::new() }
    }

    /// The next datagram, cut to the buffer. Dropping the future loses nothing.
    pub(in crate::bmc) async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((head, rest)) = self.inbox.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*head));
                if let Some(datagram) = rest.get(..length) {
                    let taken = length.min(buffer.len());
                    let to = buffer.iter_mut().zip(datagram);
                    to.for_each(|(to, from)| *to = *from);
                    self.inbox.drain(..length + 2);
                    return Ok(taken);
                }
            }
            let mut bytes = [0; 2048];
            match self.stream.read(&mut bytes).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.inbox.extend_from_slice(bytes.get(..read).unwrap_or_default()),
            }
        }
    }

    /// Sends a datagram.
    pub(in crate::bmc) async fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let length = u16::try_from(datagram.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.stream.write_all(&[&length.to_be_bytes(), datagram].concat()).await
    }
}
