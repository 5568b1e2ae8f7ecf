//! Asking a proxy to carry a conversation.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    CHALLENGE, GOES_ON, GREETING, LONGEST_CARRY, Order, Proxy, ProxyFailure, Refusal, Transport,
};
use crate::ControllerId;
use crate::sign::KeyPair;

/// For the connection and the order: a node that is up answers at once.
const DIAL: Duration = Duration::from_secs(2);
/// On top, for the proxy's own connection to the BMC.
const REACH: Duration = Duration::from_secs(2);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The cluster.
    pub cluster: Uuid,
    /// The controller.
    pub me: ControllerId,
    /// Its private key.
    pub key: KeyPair,
}

/// Asks a proxy to carry one conversation with `to` until `limit`, at most [`LONGEST_CARRY`]. What the stream returns and
/// takes is the BMC's: with [`Transport::Udp`] datagrams, each after its length in two bytes.
///
/// # Errors
/// [`ProxyFailure`]: nothing was sent to the BMC.
pub async fn dial(
    proxy: &Proxy,
    caller: &Caller,
    to: SocketAddr,
    how: Transport,
    limit: Instant,
) -> Result<TcpStream, ProxyFailure> {
    let by = limit.min(Instant::now() + DIAL);
    let lost = |error: io::Error| ProxyFailure::NoAnswer(error.to_string());
    let slow = |_| ProxyFailure::NoAnswer("it took too long".to_owned());
    let stream = TcpStream::connect(proxy.address);
    let mut stream = timeout_at(by, stream).await.map_err(slow)?.map_err(lost)?;
    // Small datagrams that wait for each other would be resent by the driver.
    stream.set_nodelay(true).map_err(lost)?;
    let mut greeting = [0; GREETING.len()];
    let mut challenge = [0; CHALLENGE];
    timeout_at(by, stream.read_exact(&mut greeting)).await.map_err(slow)?.map_err(lost)?;
    if greeting != GREETING {
        return Err(ProxyFailure::Strange);
    }
    timeout_at(by, stream.read_exact(&mut challenge)).await.map_err(slow)?.map_err(lost)?;
    let left = limit.saturating_duration_since(Instant::now()).min(LONGEST_CARRY);
    let order = Order {
        cluster: caller.cluster,
        proxy: proxy.node,
        controller: caller.me,
        challenge,
        to,
        how,
        left_ms: u32::try_from(left.as_millis()).unwrap_or(0),
    };
    let order = order.sign(&caller.key).to_bytes();
    let length = u16::try_from(order.len()).unwrap_or(0).to_be_bytes();
    let order = [&length[..], &order].concat();
    timeout_at(by, stream.write_all(&order)).await.map_err(slow)?.map_err(lost)?;
    let by = limit.min(by + REACH);
    match timeout_at(by, stream.read_u8()).await.map_err(slow)?.map_err(lost)? {
        GOES_ON => Ok(stream),
        code => Err(Refusal::of_code(code).map_or(ProxyFailure::Strange, ProxyFailure::Refused)),
    }
}
