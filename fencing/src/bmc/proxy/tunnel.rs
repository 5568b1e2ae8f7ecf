//! The door to a proxy for the HTTP client, which wants an address: a listener on loopback that lives for one question.
//! Who does not know its word is not let in.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::{Caller, Proxy, Transport, dial};

/// Longest request for a tunnel.
const LONGEST_HEAD: usize = 4 << 10;
/// Tunnels under way at once: the client opens one after the other.
const MOST: usize = 4;

/// A listener that is closed when dropped, with all that it carries.
#[derive(Debug)]
pub(in crate::bmc) struct Tunnel {
    address: SocketAddr,
    word: String,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one. The first to come gets the stream that is there; others get one of their own.
    ///
    /// # Errors
    /// This machine has no port or no random numbers. Nothing was sent.
    pub(in crate::bmc) async fn open(
        first: TcpStream,
        dialled: (Proxy, Arc<Caller>, SocketAddr),
        limit: Instant,
    ) -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let word = format!("Holdfast {:032x}", u128::from_be_bytes(bytes));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, word.clone(), first, dialled, limit));
        Ok(Self { address, word, task })
    }

    /// Where it is, as an HTTP proxy.
    pub(in crate::bmc) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What must stand in `Proxy-Authorization`.
    pub(in crate::bmc) fn word(&self) -> &str {
        &self.word
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    word: String,
    first: TcpStream,
    (proxy, caller, to): (Proxy, Arc<Caller>, SocketAddr),
    limit: Instant,
) {
    let mut first = Some(first);
    let mut carried = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        while carried.try_join_next().is_some() {}
        let let_in = timeout_at(limit, is_let_in(&mut client, &word)).await;
        if carried.len() >= MOST || !matches!(let_in, Ok(Ok(true))) {
            continue;
        }
        let way = match first.take() {
            Some(way) => Ok(way),
            None => dial(&proxy, &caller, to, Transport::Tcp, limit).await,
        };
        match way {
            Ok(way) => drop(carried.spawn(carry(client, way))),
            Err(_) => drop(client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await),
        }
    }
}

async fn carry(mut client: TcpStream, mut way: TcpStream) {
    if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        let _ = copy_bidirectional(&mut client, &mut way).await;
    }
}

/// Reads `CONNECT` and its headers. Where it wants to go does not matter: there is one way.
async fn is_let_in(client: &mut TcpStream, word: &str) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return Ok(false);
        }
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let knows = head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == word
    });
    Ok(knows && head.starts_with("CONNECT "))
}
