//! The shell around a session: a UDP socket and a clock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

use super::ipmi::packet::LONGEST;
use super::ipmi::{Config, Effect, Event, Pace, Session};
use super::proxy::{Framed, ProxyFailure};
use super::{Ask, BmcTarget, Failure, Identity, Reply};

/// Pause after an error of the socket, so that one which stays does not become a busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// Asks a BMC one question in a session and from a port of its own; returns within `deadline` and
/// a moment. With [`Ask::Off`] and `expect`, nothing is switched off unless exactly that identity
/// was read in the same session; with [`Ask::Read`] the caller compares.
///
/// It never fails to return a [`Reply`]; dropping the future leaves the question unanswered and a
/// session slot of the BMC taken until the BMC's own time-out.
pub async fn ask(
    target: &BmcTarget,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
) -> Reply {
    match connect(target.addr).await {
        Ok(socket) => ask_over(target, ask, expect, deadline, Line::Direct(socket)).await,
        Err(error) => Reply::Failed(Failure::Socket(error.to_string())),
    }
}

/// A connected socket takes datagrams of this one peer only.
async fn connect(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((unspecified(addr), 0)).await?;
    socket.connect(addr).await?;
    Ok(socket)
}

/// Where the datagrams go.
#[derive(Debug)]
pub(super) enum Line {
    /// To the BMC.
    Direct(UdpSocket),
    /// To a proxy that carries them there.
    Carried(Framed),
}

/// As [`ask`], over a line that leads to the BMC.
pub(super) async fn ask_over(
    target: &BmcTarget,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
    line: Line,
) -> Reply {
    let config = Config {
        user: target.user.clone(),
        password: target.password.clone(),
        suites: target.suites.clone(),
        privilege: target.privilege,
        ask,
        expect,
        deadline,
        pace: Pace::default(),
    };
    let reply = match converse(line, config).await {
        Ok(reply) => reply,
        Err(failure) => Reply::Failed(failure),
    };
    tracing::debug!(bmc = %target.addr, %ask, %reply, "asked");
    reply
}

async fn converse(mut line: Line, config: Config) -> Result<Reply, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::Socket(error.to_string()))?;
    let origin = Instant::now();
    let mut session = Session::new(config, seed);
    let mut effects = Vec::new();
    let mut buffer = [0; LONGEST + 1];
    loop {
        let Some((due, _)) = session.poll_timeout() else {
            return Err(Failure::Socket("the session ended without a reply".to_owned()));
        };
        let length = match timeout_at(origin + due, line.recv(&mut buffer)).await {
            Ok(Ok(length)) => Some(length),
            // Nobody but the proxy ends that, and there may be another one.
            Ok(Err(_)) if line.is_carried() => return Err(ProxyFailure::Ended.into()),
            // "Connection refused" and its like may be forged or pass: only time decides.
            Ok(Err(_)) => {
                sleep(AFTER_ERROR).await;
                if origin.elapsed() < due {
                    continue;
                }
                None
            }
            Err(_) => None,
        };
        let event = match length.and_then(|length| buffer.get(..length)) {
            Some(datagram) => Event::Datagram(datagram),
            None => Event::Timeout,
        };
        session.handle(origin.elapsed(), event, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                // A datagram that cannot be sent now is a lost datagram: it is sent again.
                Effect::Send(datagram) => drop(line.send(&datagram).await),
                Effect::Done(reply) => return Ok(reply),
            }
        }
    }
}

impl Line {
    /// The next datagram. Dropping the future loses nothing.
    async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Direct(socket) => socket.recv(buffer).await,
            Self::Carried(framed) => framed.recv(buffer).await,
        }
    }

    async fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Direct(socket) => socket.send(datagram).await.map(|_| ()),
            Self::Carried(framed) => framed.send(datagram).await,
        }
    }

    fn is_carried(&self) -> bool {
        match self {
            Self::Direct(_) => false,
            Self::Carried(_) => true,
        }
    }
}

fn unspecified(addr: SocketAddr) -> IpAddr {
    match addr {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
