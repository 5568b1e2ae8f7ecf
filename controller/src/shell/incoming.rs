//! The connections on which other controllers speak to this one. Nobody without the peer key costs more than one of a few
//! places and a few bytes for a few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fencing::ControllerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use super::Incoming as Queued;
use super::outgoing::{LONGEST, TAKEN, VERSION};
use super::seal::{CHALLENGE, OVERHEAD, Seal};
use crate::config::PeerKey;
use crate::effect::PeerMessage;
use crate::event::Event;

/// Connections that have not proven the key yet.
const MOST_STRANGERS: usize = 64;
/// How long a stranger has to prove it.
const PROVE: Duration = Duration::from_secs(3);
/// How long one frame may take once it has begun; a snapshot over a slow line included.
const FRAME: Duration = Duration::from_secs(30);
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Who may speak here.
pub(super) struct Incoming {
    pub(super) cluster: Uuid,
    pub(super) me: ControllerId,
    pub(super) others: BTreeSet<ControllerId>,
    pub(super) key: PeerKey,
    pub(super) queue: mpsc::Sender<Queued>,
    /// The connection of each controller that is in use; a newer one ends it.
    pub(super) present: Mutex<BTreeMap<ControllerId, oneshot::Sender<()>>>,
}

impl Incoming {
    /// Takes connections until the shell ends.
    pub(super) async fn run(self, listener: TcpListener) {
        let here = Arc::new(self);
        let places = Arc::new(Semaphore::new(MOST_STRANGERS));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "peer socket");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            // Full of strangers: this one is dropped, and an honest one comes again within two seconds.
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                tokio::spawn(Arc::clone(&here).hear(stream, place));
            }
        }
    }

    async fn hear(self: Arc<Self>, mut stream: TcpStream, place: OwnedSemaphorePermit) {
        let proven = timeout(PROVE, self.prove(&mut stream)).await;
        drop(place);
        let Ok(Some((from, seal))) = proven else { return };
        let end = self.replace(from);
        tokio::select! {
            () = self.listen(from, stream, seal) => {}
            _ = end => {}
        }
    }

    /// Dropping the sender of the connection before ends it.
    fn replace(&self, from: ControllerId) -> oneshot::Receiver<()> {
        let (ended, end) = oneshot::channel();
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.insert(from, ended);
        end
    }

    async fn prove(&self, stream: &mut TcpStream) -> Option<(ControllerId, Seal)> {
        let _ = stream.set_nodelay(true);
        let version = stream.read_u8().await.ok()?;
        let from = ControllerId(stream.read_u64().await.ok()?);
        if version != VERSION || !self.others.contains(&from) {
            return None;
        }
        let mut challenge = [0; CHALLENGE];
        getrandom::fill(&mut challenge).ok()?;
        stream.write_all(&challenge).await.ok()?;
        let mut seal = Seal::new(&self.key, self.cluster, from, self.me, challenge);
        let empty = frame(stream, &mut seal, 0).await?;
        stream.write_all(&[TAKEN]).await.ok()?;
        empty.is_empty().then_some((from, seal))
    }

    async fn listen(&self, from: ControllerId, mut stream: TcpStream, mut seal: Seal) {
        loop {
            if stream.readable().await.is_err() {
                return;
            }
            let Ok(Some(plain)) = timeout(FRAME, frame(&mut stream, &mut seal, LONGEST)).await
            else {
                return;
            };
            match postcard::from_bytes::<PeerMessage>(&plain) {
                Ok(message) => {
                    let event = Queued::Event(Event::Peer { from, message });
                    if self.queue.send(event).await.is_err() {
                        return;
                    }
                }
                // Another version speaks; its connection is of use for what is understood.
                Err(error) => {
                    tracing::warn!(%from, %error, "a message that is not understood: are all controllers of one version?")
                }
            }
            if stream.write_all(&[TAKEN]).await.is_err() {
                return;
            }
        }
    }
}

/// Reads and opens one frame with at most `longest` bytes of content.
async fn frame(stream: &mut TcpStream, seal: &mut Seal, longest: usize) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?;
    if !(OVERHEAD..=longest + OVERHEAD).contains(&length) {
        return None;
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    seal.open(&bytes)
}
