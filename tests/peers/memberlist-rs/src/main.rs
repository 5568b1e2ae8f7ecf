//! A member of the crate `memberlist` with its settings for a local network, for `cargo xtask bench-detect`.
//!
//! ```text
//! memberlist-rs NAME ADDRESS [ADDRESS OF A MEMBER THAT IS THERE]
//! ```
//!
//! What it sees is a line each, with the seconds since 1970: `joined NAME`, `dead NAME`, `event TEXT`; the library's own
//! log, which tells of suspicions, stands between them. SIGUSR1 sends an event, which members pass on as Serf's do.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memberlist::bytes::Bytes;
use memberlist::delegate::{CompositeDelegate, EventDelegate, NodeDelegate};
use memberlist::net::NetTransportOptions;
use memberlist::proto::{MaybeResolvedAddress, NodeId, NodeState};
use memberlist::queue::TransmitLimitedQueue;
use memberlist::tokio::{TokioSocketAddrResolver, TokioTcp, TokioTcpMemberlist};
use memberlist::{Broadcast, Options};
use tokio::signal::unix::{SignalKind, signal};

/// The one event that is ever sent.
const EVENT: &[u8] = b"holdfast-bench";
/// What a packet adds to a message of a user at most, in bytes.
const HEADER: usize = 8;

type Name = NodeId;

fn say(what: &str, of: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    println!("{now:.3} {what} {of}");
}

/// Is told who comes and goes, and counts them.
struct Events(Arc<AtomicUsize>);

impl EventDelegate for Events {
    type Id = Name;
    type Address = SocketAddr;

    async fn notify_join(&self, node: Arc<NodeState<Name, SocketAddr>>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        say("joined", node.id().as_str());
    }

    async fn notify_leave(&self, node: Arc<NodeState<Name, SocketAddr>>) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        say("dead", node.id().as_str());
    }

    async fn notify_update(&self, _: Arc<NodeState<Name, SocketAddr>>) {}
}

/// What is passed on; none takes the place of another.
#[derive(Debug)]
struct Message(Bytes);

impl Broadcast for Message {
    type Id = Name;
    type Message = Bytes;

    fn id(&self) -> Option<&Name> {
        None
    }

    fn invalidates(&self, _: &Self) -> bool {
        false
    }

    fn message(&self) -> &Bytes {
        &self.0
    }

    fn encoded_len(message: &Bytes) -> usize {
        message.len() + HEADER
    }

    async fn finished(&self) {}

    fn is_unique(&self) -> bool {
        true
    }
}

/// Passes an event on the first time that it hears it.
#[derive(Clone)]
struct Passing {
    queue: Arc<TransmitLimitedQueue<Message, Arc<AtomicUsize>>>,
    heard: Arc<AtomicBool>,
}

impl NodeDelegate for Passing {
    async fn notify_message(&self, message: Cow<'_, [u8]>) {
        if !self.heard.swap(true, Ordering::SeqCst) {
            say("event", &String::from_utf8_lossy(&message));
            self.queue.queue_broadcast(Message(message.into_owned().into())).await;
        }
    }

    async fn broadcast_messages<F>(&self, limit: usize, _: F) -> impl Iterator<Item = Bytes> + Send
    where
        F: Fn(Bytes) -> (usize, Bytes) + Send + Sync + 'static,
    {
        self.queue.get_broadcasts(limit).await.into_iter()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(name), Some(address)) = (words.next(), words.next()) else {
        return Err("memberlist-rs NAME ADDRESS [ADDRESS OF A MEMBER THAT IS THERE]".into());
    };
    // Down to what it says of suspicions, as `serf` logs it too.
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
    let members = Arc::new(AtomicUsize::new(0));
    let options = Options::lan();
    let queue = Arc::new(TransmitLimitedQueue::new(options.retransmit_mult(), members.clone()));
    let passing = Passing { queue, heard: Arc::default() };
    let delegate = CompositeDelegate::<Name, SocketAddr>::new()
        .with_event_delegate(Events(members))
        .with_node_delegate(passing.clone());
    let mut transport =
        NetTransportOptions::<Name, TokioSocketAddrResolver, TokioTcp>::new(NodeId::new(name)?);
    transport.add_bind_address(address.parse()?);
    let list = TokioTcpMemberlist::with_delegate(delegate, transport, options).await?;
    for there in words {
        let there: SocketAddr = there.parse()?;
        while list.join(MaybeResolvedAddress::resolved(there)).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let mut asked = signal(SignalKind::user_defined1())?;
    while asked.recv().await.is_some() {
        passing.notify_message(Cow::Borrowed(EVENT)).await;
    }
    Ok(())
}
