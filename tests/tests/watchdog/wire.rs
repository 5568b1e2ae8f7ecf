//! The network between the hosts, and what was said on it. Each host has two addresses: the one where it listens, and the
//! one that the others are told, where this carries for it. So nothing passes unseen, and everything has its time on one
//! clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::guest::Plug;
use super::ledger::Ledger;

/// Renewals, asks and pings.
pub(crate) const LEASE: u16 = 7947;
/// What agents and controllers say of each other.
pub(crate) const GOSSIP: u16 = 7946;
/// Of a BMC: IPMI over LAN, and the wire to its machine.
pub(crate) const BMC: [u16; 2] = [9623, 9102];
/// A guest sends what nobody has asked for, such as a beacon or a ping of its own, from no address that the others know, but
/// from a port of the machine's own: last byte of the address by which the others know all of these.
const STRANGER: u8 = 251;
/// QEMU holds that port on all addresses, so the others know another one, lower by this. Ports that a kernel gives away are
/// higher.
const LOWER: u16 = 31_744;
/// Third byte of all addresses: one that no lab has.
const NETWORK: u8 = 90;

/// The wire. Clones are the same; `end` ends it.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    octet: u8,
    _lock: UdpSocket,
    ended: AtomicBool,
    sockets: Mutex<BTreeMap<SocketAddrV4, UdpSocket>>,
    ledger: Mutex<Ledger>,
}

impl Wire {
    /// On loopback addresses that no other one uses, with these hosts.
    pub(crate) fn new(hosts: &[u8], ledger: Ledger) -> Self {
        let free = (65..=249).step_by(2).find_map(|octet| {
            let lock = UdpSocket::bind((Ipv4Addr::new(127, octet, NETWORK, 250), LEASE)).ok()?;
            Some((octet - 1, lock))
        });
        let (octet, lock) = free.expect("free loopback addresses");
        let wire = Self(Arc::new(Inner {
            octet,
            _lock: lock,
            ended: AtomicBool::new(false),
            sockets: Mutex::default(),
            ledger: Mutex::new(ledger),
        }));
        hosts.iter().for_each(|host| {
            wire.socket(*host, LEASE);
            wire.socket(*host, GOSSIP);
        });
        wire
    }

    /// Where a host listens.
    pub(crate) fn own(&self, host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(127, self.0.octet, NETWORK, host), port)
    }

    /// Where the others reach it.
    pub(crate) fn told(&self, host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(127, self.0.octet + 1, NETWORK, host), port)
    }

    /// Where a node's guest and its BMC are plugged in.
    pub(crate) fn plug(&self, host: u8) -> Plug {
        Plug {
            lease: self.own(host, LEASE),
            gossip: self.own(host, GOSSIP),
            bmc: self.own(host, BMC[0]),
            system: self.own(host, BMC[1]),
        }
    }

    /// What was said.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().expect("no panic")
    }

    /// Nothing is carried any more.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }

    /// The socket that carries for a host's port, opened if it is not.
    fn socket(&self, host: u8, port: u16) -> Option<UdpSocket> {
        let address = self.told(host, port);
        let mut sockets = self.0.sockets.lock().expect("no panic");
        if let Some(socket) = sockets.get(&address) {
            return socket.try_clone().ok();
        }
        let socket = UdpSocket::bind(address).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        let (wire, reader) = (self.clone(), socket.try_clone().ok()?);
        std::thread::spawn(move || wire.carry(&reader, host, port));
        sockets.insert(address, socket.try_clone().ok()?);
        Some(socket)
    }

    /// What comes in here goes to the host, from the address that its sender is known by.
    fn carry(&self, socket: &UdpSocket, host: u8, port: u16) {
        let own = self.own(host, port);
        let theirs = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.saturating_add(LOWER));
        let to = if host == STRANGER { theirs } else { own };
        let mut buffer = [0; 2048];
        while !self.0.ended.load(Ordering::Relaxed) {
            let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let [_, octet, _, sender] = from.ip().octets();
            let known = octet == self.0.octet;
            if !known && *from.ip() != Ipv4Addr::LOCALHOST {
                continue;
            }
            let bytes = &buffer[..length];
            self.ledger().saw(Instant::now(), bytes);
            let stranger = (STRANGER, from.port().saturating_sub(LOWER));
            let (sender, known_port) = if known { (sender, from.port()) } else { stranger };
            if let Some(back) = self.socket(sender, known_port) {
                // Nobody may be there, as on any network.
                let _ = back.send_to(bytes, to);
            }
        }
    }
}
