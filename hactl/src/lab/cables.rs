//! The cables: a switch in user space between where a host listens and where the others send to. The programs do not
//! know of it; a cut cable drops what it should carry, in both directions.
//!
//! ```text
//!  agent of node-1                                                              sentinel of node-2
//!  127.A.2.11:7946 --> socket at 127.A+1.2.12:P --lookup: who sent it?--> socket at 127.A+1.2.11:Q --> 127.A.2.12:P
//! ```
//! A sender without a socket at its advertised address (a port that the system chose) gets one, so that answers reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;

use super::plan::{Block, GOSSIP, Host, LEASE, NETWORKS, Plan};

/// Sockets that senders may get beside those of the plan; agents that restart take new ones.
const MOST_SOCKETS: usize = 1024;
/// Longer than any datagram of ours.
const LONGEST: usize = 65_536;

/// All cables of a lab. Clones are the same cables; the last one that goes ends them.
#[derive(Clone)]
pub(super) struct Cables(Arc<Inner>);

struct Inner {
    block: Arc<Plan>,
    cut: Mutex<BTreeSet<(Host, usize)>>,
    sockets: Mutex<BTreeMap<SocketAddrV4, Arc<UdpSocket>>>,
    stop: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
}

impl Cables {
    /// Lays the cables of all hosts. They carry in a thread of their own, whatever else the lab does.
    pub(super) fn lay(plan: &Arc<Plan>) -> io::Result<Self> {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let inner = Arc::new(Inner {
            block: Arc::clone(plan),
            cut: Mutex::default(),
            sockets: Mutex::default(),
            stop: Mutex::new(Some(stop)),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let plan = Arc::clone(plan);
        let carried = Arc::clone(&inner);
        let (ready, laid) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("cables".to_owned()).spawn(move || {
            runtime.block_on(async {
                let all = plan.hosts().into_iter().flat_map(|host| {
                    (0..NETWORKS.len()).flat_map(move |n| [(n, host, GOSSIP), (n, host, LEASE)])
                });
                let opened: io::Result<Vec<_>> = all
                    .map(|(network, host, port)| {
                        open(&carried, plan.block.advertised(network, host, port), network, host)
                    })
                    .collect();
                let _ = ready.send(opened.map(|_| ()));
                // An error says that the cables are gone.
                let _ = stopped.await;
            });
        })?;
        laid.recv().unwrap_or_else(|_| Err(io::Error::other("the cables' thread ended")))?;
        Ok(Self(inner))
    }

    /// Cuts a host's cable of this network, by its place.
    pub(super) fn cut(&self, host: Host, network: usize) {
        lock(&self.0.cut).insert((host, network));
    }

    /// Ends all cables.
    pub(super) fn remove(&self) {
        if let Some(stop) = lock(&self.0.stop).take() {
            let _ = stop.send(());
        }
    }
}

/// Opens the socket at an advertised address and carries what comes in there.
fn open(
    inner: &Arc<Inner>,
    advertised: SocketAddrV4,
    network: usize,
    host: Host,
) -> io::Result<Arc<UdpSocket>> {
    if let Some(socket) = lock(&inner.sockets).get(&advertised) {
        return Ok(Arc::clone(socket));
    }
    let socket = std::net::UdpSocket::bind(advertised)?;
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    lock(&inner.sockets).insert(advertised, Arc::clone(&socket));
    let to = inner.block.block.listen(network, host, advertised.port());
    tokio::spawn(carry(Arc::clone(inner), Arc::clone(&socket), network, host, to));
    Ok(socket)
}

async fn carry(
    inner: Arc<Inner>,
    socket: Arc<UdpSocket>,
    network: usize,
    host: Host,
    to: SocketAddrV4,
) {
    let mut buffer = vec![0; LONGEST];
    loop {
        // An error tells that some receiver is gone, as on any network.
        let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some((on, sender)) = inner.block.block.whose(from).filter(|(on, _)| *on == network)
        else {
            continue;
        };
        let cut = {
            let cut = lock(&inner.cut);
            cut.contains(&(sender, on)) || cut.contains(&(host, network))
        };
        if cut {
            continue;
        }
        if let Ok(back) = socket_of(&inner, &inner.block.block, from, on, sender) {
            let _ = back.send_to(buffer.get(..length).unwrap_or_default(), to).await;
        }
    }
}

/// The socket at the advertised address of a sender.
fn socket_of(
    inner: &Arc<Inner>,
    block: &Block,
    from: SocketAddrV4,
    network: usize,
    sender: Host,
) -> io::Result<Arc<UdpSocket>> {
    let advertised = block.advertised(network, sender, from.port());
    if lock(&inner.sockets).len() >= MOST_SOCKETS && !lock(&inner.sockets).contains_key(&advertised)
    {
        return Err(io::Error::other("too many sockets"));
    }
    open(inner, advertised, network, sender)
}

/// A poisoned lock only says that another thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cable_carries_both_ways_and_a_cut_one_does_not() {
        let dir = std::env::temp_dir();
        let plan = Arc::new(Plan::new(&dir, 3, false).expect("a plan"));
        let cables = Cables::lay(&plan).expect("cables");
        let (a, b) = (plan.nodes[0].host, plan.nodes[1].host);
        let bind = |address: SocketAddrV4| {
            let socket = UdpSocket::bind(address).expect("bound");
            socket.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
            socket
        };
        // A port that the system chose, as for pings.
        let asker = bind(plan.block.listen(1, a, 0));
        let answerer = bind(plan.block.listen(1, b, LEASE));
        let mut buffer = [0; 16];
        asker.send_to(b"ping", plan.block.advertised(1, b, LEASE)).expect("sent");
        let (length, from) = answerer.recv_from(&mut buffer).expect("carried");
        assert_eq!(&buffer[..length], b"ping");
        let port = asker.local_addr().expect("bound").port();
        assert_eq!(from, plan.block.advertised(1, a, port).into());
        answerer.send_to(b"pong", from).expect("sent");
        assert_eq!(asker.recv_from(&mut buffer).expect("carried").0, 4);
        cables.cut(a, 1);
        answerer.send_to(b"pong", from).expect("sent");
        assert!(asker.recv_from(&mut buffer).is_err(), "a cut cable carried");
        asker.send_to(b"ping", plan.block.advertised(1, b, LEASE)).expect("sent");
        assert!(answerer.recv_from(&mut buffer).is_err(), "a cut cable carried");
        cables.remove();
    }
}
