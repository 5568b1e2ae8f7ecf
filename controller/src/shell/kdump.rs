//! The port on which crash kernels tell, with `fence_kdump_send` of fence-agents, that they write a dump. Nothing is
//! signed, so whoever floods it must not keep renewals out of the queue that they share: few packets get there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Incoming, RunError};
use crate::event::Event;

/// What a packet is: this number and the version after it, each in the byte order of its sender.
const MAGIC: u32 = 0x1b30_2a40;
const VERSION: u32 = 1;
/// After an error of the socket, so that one which stays is no busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(20);
/// In this time each address is handed on once, and so many addresses at most. Senders repeat themselves every ten seconds.
const ONCE_IN: Duration = Duration::from_secs(5);
const MOST: usize = 64;

/// Takes the port.
///
/// # Errors
/// Where it cannot be had; the program does not start.
pub(super) async fn open(address: SocketAddr) -> Result<UdpSocket, RunError> {
    UdpSocket::bind(address).await.map_err(|source| RunError::Listen {
        what: "crash kernels".to_owned(),
        address,
        source,
    })
}

/// Hands on who dumps until the shell ends. What the queue cannot take is lost, as on a network.
pub(super) async fn listen(socket: UdpSocket, queue: mpsc::Sender<Incoming>) {
    // One byte more than a packet has, so that a longer one is noticed and not cut.
    let mut buffer = [0; 9];
    let mut lately = Lately { since: Instant::now(), from: BTreeSet::new() };
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let from = from.ip().to_canonical();
                let dumps = buffer.get(..length).is_some_and(is_dump);
                if dumps && lately.takes(Instant::now(), from) {
                    let _ = queue.try_send(Incoming::Event(Event::Dumping { from }));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "kdump socket");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Addresses that were handed on a moment ago.
struct Lately {
    since: Instant,
    from: BTreeSet<IpAddr>,
}

impl Lately {
    /// Whether a packet from there is handed on now.
    fn takes(&mut self, now: Instant, from: IpAddr) -> bool {
        if now.saturating_duration_since(self.since) >= ONCE_IN {
            (self.since, self.from) = (now, BTreeSet::new());
        }
        self.from.len() < MOST && self.from.insert(from)
    }
}

fn is_dump(packet: &[u8]) -> bool {
    let little = [MAGIC.to_le_bytes(), VERSION.to_le_bytes()].concat();
    let big = [MAGIC.to_be_bytes(), VERSION.to_be_bytes()].concat();
    packet == little || packet == big
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const SENDER: &str = "/usr/libexec/fence-agents/fence_kdump_send";

    #[tokio::test]
    async fn the_real_sender_of_fence_agents_is_understood() {
        if !Path::new(SENDER).exists() {
            let skip = std::env::var("HOLDFAST_SKIP_REAL").is_ok_and(|value| value == "1");
            assert!(
                skip,
                "{SENDER} is not installed: `cargo xtask setup`, or HOLDFAST_SKIP_REAL=1"
            );
            println!("SKIPPED fence_kdump_send: not installed");
            return;
        }
        let socket = open("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let port = socket.local_addr().expect("its address").port().to_string();
        let (queue, mut heard) = mpsc::channel(8);
        let listening = tokio::spawn(listen(socket, queue));
        let sent = tokio::task::spawn_blocking(move || {
            let options = ["-f", "ipv4", "-c", "1", "-i", "1", "-p", &port, "127.0.0.1"];
            Command::new(SENDER).args(options).status()
        });
        let event = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await;
        let Ok(Some(Incoming::Event(event))) = event else { panic!("nothing was heard") };
        assert_eq!(event, Event::Dumping { from: [127, 0, 0, 1].into() });
        assert!(sent.await.expect("it ran").expect("it began").success());
        listening.abort();
    }

    #[test]
    fn a_flood_hands_on_a_few_and_the_next_moment_takes_others() {
        let began = Instant::now();
        let mut lately = Lately { since: began, from: BTreeSet::new() };
        let many = || (0..1000_u32).map(|n| IpAddr::from(n.to_be_bytes()));
        let first = many().next().expect("an address");
        assert!(lately.takes(began, first));
        assert!(!lately.takes(began, first), "once");
        assert_eq!(many().filter(|from| lately.takes(began, *from)).count(), MOST - 1);
        assert!(lately.takes(began + ONCE_IN, first));
    }

    #[test]
    fn a_packet_is_known_in_either_byte_order_and_nothing_else_is() {
        let little = [0x40, 0x2a, 0x30, 0x1b, 1, 0, 0, 0];
        let big = [0x1b, 0x30, 0x2a, 0x40, 0, 0, 0, 1];
        assert!(is_dump(&little) && is_dump(&big));
        assert!(!is_dump(&little[..7]) && !is_dump(&[0; 8]) && !is_dump(&[]));
        assert!(!is_dump(&[0x40, 0x2a, 0x30, 0x1b, 2, 0, 0, 0]));
        assert!(!is_dump(&[little.as_slice(), &[0]].concat()));
    }
}
