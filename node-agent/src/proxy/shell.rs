//! Sockets of the proxy. It decides nothing and understands nothing of what it carries.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fencing::bmc::proxy::{CHALLENGE, GOES_ON, GREETING, LONGEST_ORDER, Refusal, Transport};
use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::door::{Door, MOST, Pass, Setup};

/// From a connection to its order.
const PATIENCE: Duration = Duration::from_secs(3);
/// To connect to a BMC.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections, those included that have not shown yet who they are. More are closed at once.
const MOST_CONNECTIONS: usize = MOST + 32;
/// Bytes of one conversation, in each direction: many times what a question takes.
const MOST_BYTES: usize = 8 << 20;
/// Longest datagram.
const DATAGRAM: usize = 2048;
/// After an error of the listener (no descriptors left), before the next try.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two lines of the log about refusals.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Listens, and carries what the door lets through, until the runtime ends.
///
/// # Errors
/// The address cannot be bound, or the clock cannot be read. Nothing will be carried.
pub async fn listen(address: SocketAddr, setup: Setup) -> io::Result<()> {
    let door = Arc::new(Mutex::new(Door::new(clock()?, setup)));
    let listener = TcpListener::bind(address).await?;
    tracing::info!(%address, "questions to BMCs are carried");
    tokio::spawn(serve(listener, door));
    Ok(())
}

async fn serve(listener: TcpListener, door: Arc<Mutex<Door>>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut said = Duration::ZERO;
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let door = Arc::clone(&door);
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = converse(stream, &door).await {
                    tracing::debug!(%from, %error, "a conversation with a BMC ended");
                }
            });
        }
        let now = clock().unwrap_or(said);
        if now.saturating_sub(said) >= SAID_EVERY {
            let counts = locked(&door).refused().clone();
            if !counts.is_empty() {
                tracing::warn!(?counts, "orders to carry questions to BMCs were refused so far");
            }
            said = now;
        }
    }
}

/// It runs on while the machine is suspended.
fn clock() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}

fn locked(door: &Mutex<Door>) -> MutexGuard<'_, Door> {
    // What panicked with it has changed counters at most.
    door.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(mut stream: TcpStream, door: &Mutex<Door>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut challenge = [0; CHALLENGE];
    getrandom::fill(&mut challenge).map_err(|error| io::Error::other(error.to_string()))?;
    let challenged = clock()?;
    stream.write_all(&[&GREETING[..], &challenge].concat()).await?;
    let order = timeout(PATIENCE, read_order(&mut stream)).await??;
    let pass = locked(door).admit(clock()?, challenged, challenge, &order);
    let pass = match pass {
        Ok(pass) => pass,
        Err(refusal) => return stream.write_all(&[refusal.code()]).await,
    };
    let _given_back = GivenBack(door);
    let left = pass.until.saturating_sub(clock()?);
    tracing::debug!(controller = %pass.controller, bmc = %pass.to, "carries a question");
    timeout(left, carry(stream, pass, door)).await?
}

async fn read_order(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_ORDER {
        return Ok(Vec::new());
    }
    let mut order = vec![0; length];
    stream.read_exact(&mut order).await?;
    Ok(order)
}

/// Gives the place back, however a conversation ends.
struct GivenBack<'a>(&'a Mutex<Door>);

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        locked(self.0).ended();
    }
}

async fn carry(mut stream: TcpStream, pass: Pass, door: &Mutex<Door>) -> io::Result<()> {
    match pass.how {
        Transport::Udp => match udp(pass.to).await {
            Ok(socket) => datagrams(stream, &socket, pass).await,
            Err(_) => refuse(stream, door).await,
        },
        Transport::Tcp => match timeout(CONNECT, TcpStream::connect(pass.to)).await {
            Ok(Ok(bmc)) => {
                bmc.set_nodelay(true)?;
                stream.write_all(&[GOES_ON]).await?;
                let (from_controller, to_controller) = stream.into_split();
                let (from_bmc, to_bmc) = bmc.into_split();
                tokio::select! {
                    there = bytes(from_controller, to_bmc, pass) => there,
                    back = bytes(from_bmc, to_controller, pass) => back,
                }
            }
            Ok(Err(_)) | Err(_) => refuse(stream, door).await,
        },
    }
}

async fn refuse(mut stream: TcpStream, door: &Mutex<Door>) -> io::Result<()> {
    locked(door).count(Refusal::Unreachable);
    stream.write_all(&[Refusal::Unreachable.code()]).await
}

/// A connected socket takes datagrams of this one peer only.
async fn udp(to: SocketAddr) -> io::Result<UdpSocket> {
    let from =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn datagrams(mut stream: TcpStream, socket: &UdpSocket, pass: Pass) -> io::Result<()> {
    stream.write_all(&[GOES_ON]).await?;
    let (mut from_controller, mut to_controller) = stream.into_split();
    let there = async {
        let mut carried = 0;
        loop {
            let length = usize::from(from_controller.read_u16().await?);
            let mut datagram = vec![0; length];
            from_controller.read_exact(&mut datagram).await?;
            carried += length;
            may_go_on(pass, carried)?;
            // One that cannot leave now is a lost one: the controller sends it again.
            let _ = socket.send(&datagram).await;
        }
    };
    let back = async {
        let mut buffer = [0; DATAGRAM];
        let mut carried = 0;
        loop {
            let Ok(length) = socket.recv(&mut buffer).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            carried += length;
            may_go_on(pass, carried)?;
            let head = u16::try_from(length).unwrap_or(0).to_be_bytes();
            let datagram = buffer.get(..length).unwrap_or_default();
            to_controller.write_all(&[&head[..], datagram].concat()).await?;
        }
    };
    tokio::select! {
        there = there => there,
        back = back => back,
    }
}

async fn bytes(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pass: Pass,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let mut carried = 0;
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        carried += length;
        may_go_on(pass, carried)?;
        to.write_all(buffer.get(..length).unwrap_or_default()).await?;
    }
}

/// Looked at before each step: a timer alone would let through what waited while the machine slept.
fn may_go_on(pass: Pass, carried: usize) -> io::Result<()> {
    if clock()? >= pass.until {
        return Err(io::Error::other("its time is over"));
    }
    if carried > MOST_BYTES {
        return Err(io::Error::other("too many bytes for a question"));
    }
    Ok(())
}
