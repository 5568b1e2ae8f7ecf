//! Our stand-in BMC on a socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use fencing::bmc::Identity;
use sim::standin::bmc::udp::serve;
use sim::standin::bmc::{BmcServer, Settings, Switch};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::{PASSWORD, USER, host};

/// A BMC that is served until dropped.
pub(crate) struct StandIn {
    pub(crate) addr: SocketAddr,
    pub(crate) node: Switch,
    pub(crate) guid: Identity,
    server: Arc<Mutex<BmcServer>>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// One with its node on; `number` makes its GUID and its seed.
    pub(crate) async fn start(number: u8) -> Self {
        let guid = Identity([number; 16]);
        let settings = Settings::new(USER, PASSWORD, guid.0, [number; 32]);
        let server = Arc::new(Mutex::new(BmcServer::new(settings)));
        let socket = UdpSocket::bind((host(), 0)).await.expect("a free port");
        let addr = socket.local_addr().expect("it is bound");
        let node = Switch::new(true);
        let (shared, chassis) = (Arc::clone(&server), node.clone());
        let task = tokio::spawn(async move {
            serve(socket, shared, chassis).await.expect("the socket stays good");
        });
        Self { addr, node, guid, server, task }
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, BmcServer> {
        self.server.lock().expect("no test panics with it")
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}
