//! Counts what addresses of this machine send to each other, from a packet socket: every IPv4 packet on loopback once, by
//! its sender and its ports. Needs root; nothing but headers is looked at.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// Port of gossip, ours and the peers'.
pub(super) const GOSSIP: u16 = 7946;
/// Room for packets while the thread does not run, in bytes.
const ROOM: usize = 64 << 20;
/// How long it waits for a packet before it looks whether it is to end, in milliseconds.
const LOOK: i64 = 100;

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sent {
    /// Packets.
    pub(super) packets: f64,
    /// Bytes of what the programs gave to UDP or TCP.
    pub(super) payload: f64,
    /// Bytes of the packets, IP header included.
    pub(super) bytes: f64,
}

impl Sent {
    pub(super) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.payload += other.payload;
        self.bytes += other.bytes;
    }

    /// A share of it.
    pub(super) fn over(&self, divisor: f64) -> Self {
        let by = divisor.max(f64::MIN_POSITIVE);
        Self { packets: self.packets / by, payload: self.payload / by, bytes: self.bytes / by }
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Datagram {
    /// Seconds since the count began.
    pub(super) at: f64,
    /// Who sent it.
    pub(super) from: Ipv4Addr,
    /// Bytes of its payload.
    pub(super) payload: u16,
}

/// What was counted, by sender and port; and each datagram on the gossip port.
type Counted = (BTreeMap<Flow, Sent>, Vec<Datagram>);

/// Who sent, and the lower of the two ports, which is the service's.
pub(super) type Flow = (Ipv4Addr, u16);

/// A count that goes on.
pub(super) struct Tap {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counted>,
}

impl Tap {
    /// Begins to count.
    ///
    /// # Errors
    /// Without the right to open a packet socket; then nothing is counted.
    pub(super) fn start() -> nix::Result<Self> {
        let tap = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthIp,
        )?;
        setsockopt(&tap, sockopt::RcvBufForce, &ROOM)?;
        setsockopt(&tap, sockopt::ReceiveTimeout, &TimeVal::milliseconds(LOOK))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || count(&tap, &stopped));
        Ok(Self { stop, thread })
    }

    /// Ends the count.
    pub(super) fn stop(self) -> BTreeMap<Flow, Sent> {
        self.stop_with_gossip().0
    }

    /// Ends the count, and tells each datagram of gossip too.
    pub(super) fn stop_with_gossip(self) -> Counted {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn count(tap: &OwnedFd, stop: &AtomicBool) -> Counted {
    let began = Instant::now();
    let mut gossip = Vec::new();
    let mut flows = BTreeMap::<Flow, Sent>::new();
    let mut header = [0; 128];
    while !stop.load(Ordering::Relaxed) {
        // An error is the time limit.
        let Ok(length) = recv(tap.as_raw_fd(), &mut header, MsgFlags::empty()) else { continue };
        if let Some((flow, sent)) = header.get(..length).and_then(parse) {
            flows.entry(flow).or_default().add(&sent);
            if flow.1 == GOSSIP {
                let at = began.elapsed().as_secs_f64();
                gossip.push(Datagram { at, from: flow.0, payload: sent.payload as u16 });
            }
        }
    }
    (flows, gossip)
}

/// Reads the headers of one packet; `None` for what is neither UDP nor TCP over IPv4.
fn parse(packet: &[u8]) -> Option<(Flow, Sent)> {
    let short = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let first = *packet.first()?;
    let ip = usize::from(first & 0x0f) * 4;
    let total = short(2)?;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let header = match (first >> 4, *packet.get(9)?) {
        (4, 17) => 8,
        (4, 6) => usize::from(*packet.get(ip + 12)? >> 4) * 4,
        _ => return None,
    };
    let port = short(ip)?.min(short(ip + 2)?);
    let payload = usize::from(total).saturating_sub(ip + header);
    let sent = Sent { packets: 1.0, payload: payload as f64, bytes: f64::from(total) };
    Some(((Ipv4Addr::from(source), port), sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_sender_port_and_length() {
        let mut packet =
            vec![0x45, 0, 0, 38, 0, 0, 0, 0, 64, 17, 0, 0, 127, 64, 1, 11, 127, 0, 0, 1];
        packet.extend([0x9c, 0x40, 0x1f, 0x0a, 0, 18, 0, 0]);
        let (flow, sent) = parse(&packet).unwrap();
        assert_eq!(flow, (Ipv4Addr::new(127, 64, 1, 11), 7946));
        assert_eq!(sent, Sent { packets: 1.0, payload: 10.0, bytes: 38.0 });
        assert_eq!(parse(&packet[..21]), None);
        assert_eq!(parse(&[0x60; 60]), None);
    }
}
