//! The connection on which this controller speaks to another one: made again whenever it breaks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fencing::ControllerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use super::seal::{CHALLENGE, Seal};
use crate::config::PeerKey;

/// Longest message, in bytes: Raft's longest snapshot and what surrounds it.
pub(super) const LONGEST: usize = 20 << 20;
/// Version of the connection, its first byte.
pub(super) const VERSION: u8 = 1;
/// What the receiver says for each frame that it took.
pub(super) const TAKEN: u8 = b'.';

const CONNECT: Duration = Duration::from_secs(2);
/// A frame that is not taken within this time, and a second for each MiB, breaks the connection.
const TAKE: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// Most messages that wait, and most bytes.
const MOST_WAITING: usize = 1024;
const MOST_BYTES: usize = 2 * LONGEST;

/// What waits to be sent to one controller. The oldest is dropped where there is too much: Raft sends again.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    shared: Arc<(Mutex<VecDeque<Vec<u8>>>, Notify)>,
}

impl Waiting {
    pub(super) fn push(&self, message: Vec<u8>) {
        let (queue, notify) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(message);
        while queue.len() > MOST_WAITING
            || (queue.len() > 1 && queue.iter().map(Vec::len).sum::<usize>() > MOST_BYTES)
        {
            queue.pop_front();
        }
        drop(queue);
        notify.notify_one();
    }

    async fn next(&self) -> Vec<u8> {
        loop {
            let message = self.lock().pop_front();
            match message {
                Some(message) => return message,
                None => self.shared.1.notified().await,
            }
        }
    }

    /// What could not be sent is stale by the time that it could.
    fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To whom, and with which key.
pub(super) struct Outgoing {
    pub(super) cluster: Uuid,
    pub(super) me: ControllerId,
    pub(super) to: ControllerId,
    pub(super) address: SocketAddr,
    pub(super) key: PeerKey,
    pub(super) waiting: Waiting,
}

impl Outgoing {
    /// Sends what waits until the shell ends.
    pub(super) async fn run(self) {
        let mut pause = RETRY_FIRST;
        let mut heard = true;
        loop {
            match self.connect().await {
                Ok((stream, seal)) => {
                    tracing::info!(to = %self.to, address = %self.address, "connected");
                    (pause, heard) = (RETRY_FIRST, true);
                    let why = self.speak(stream, seal).await;
                    tracing::warn!(to = %self.to, why, "connection lost");
                }
                Err(why) => {
                    if std::mem::replace(&mut heard, false) {
                        tracing::warn!(to = %self.to, address = %self.address, why, "not reached; tried again and again");
                    }
                }
            }
            self.waiting.clear();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LAST);
        }
    }

    async fn connect(&self) -> Result<(TcpStream, Seal), String> {
        let text = |error: std::io::Error| error.to_string();
        let connecting = timeout(CONNECT, TcpStream::connect(self.address)).await;
        let mut stream = connecting.map_err(|_| "no answer".to_owned())?.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let greet = async {
            let mut hello = vec![VERSION];
            hello.extend(self.me.0.to_be_bytes());
            stream.write_all(&hello).await?;
            let mut challenge = [0; CHALLENGE];
            stream.read_exact(&mut challenge).await?;
            Ok(challenge)
        };
        let challenge = timeout(CONNECT, greet).await;
        let challenge = challenge.map_err(|_| "no challenge".to_owned())?.map_err(text)?;
        let mut seal = Seal::new(&self.key, self.cluster, self.me, self.to, challenge);
        // The first frame is empty and proves the key.
        send(&mut stream, &mut seal, &[])
            .await
            .map_err(|why| format!("{why}: do both have the same peer key, cluster and ids?"))?;
        Ok((stream, seal))
    }

    async fn speak(&self, mut stream: TcpStream, mut seal: Seal) -> String {
        loop {
            // Nothing comes unasked: what is readable while nothing is sent is the end of the connection.
            let message = tokio::select! {
                message = self.waiting.next() => message,
                _ = stream.readable() => {
                    let mut byte = [0];
                    match stream.try_read(&mut byte) {
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                        Ok(_) | Err(_) => return "closed by the other side".to_owned(),
                    }
                }
            };
            if let Err(why) = send(&mut stream, &mut seal, &message).await {
                return why;
            }
        }
    }
}

/// Sends one frame and waits until it is taken.
async fn send(stream: &mut TcpStream, seal: &mut Seal, plain: &[u8]) -> Result<(), String> {
    let frame = seal.seal(plain).ok_or("no randomness from the kernel")?;
    let length = u32::try_from(frame.len()).map_err(|_| "too long")?;
    let limit = TAKE + Duration::from_secs(u64::from(length >> 20));
    let exchange = async {
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&frame).await?;
        stream.read_u8().await
    };
    match timeout(limit, exchange).await {
        Ok(Ok(TAKEN)) => Ok(()),
        Ok(Ok(_)) => Err("it answers something else".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("nothing is taken any more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_messages_are_dropped_when_too_many_wait() {
        let waiting = Waiting::default();
        for number in 0..MOST_WAITING as u64 + 7 {
            waiting.push(number.to_be_bytes().to_vec());
        }
        assert_eq!(waiting.next().await, 7_u64.to_be_bytes());
        for _ in 0..3 {
            waiting.push(vec![0; LONGEST]);
        }
        assert_eq!(waiting.lock().len(), 2);
    }
}
