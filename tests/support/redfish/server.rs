//! A Redfish service on a socket, TLS included, that misbehaves on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fencing::bmc::Identity;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sim::standin::bmc::Switch;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answers::{Answer, Asked, Service};
use super::{GOOD, Pair};

/// What the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// What it should.
    Obeys,
    /// Takes the off, and is off this much later; reads `PoweringOff` until then.
    Slow(Duration),
    /// Takes connections and says nothing, not even TLS.
    Silent,
    /// Says hello by TLS, and nothing after.
    Mute,
    /// Each answer takes this long.
    Lags(Duration),
    /// Takes the off and stays on.
    Stuck,
    /// Takes the off, stays on, and reads off.
    Lies,
    /// Reads `PoweringOff` for ever, whatever the power is.
    Vague,
    /// Refuses the off with this status.
    Refuses(u16),
    /// Has no place for a session.
    SlotsFull,
    /// Sends everybody to another host.
    Redirects,
    /// Answers with bytes without end.
    Endless,
    /// Breaks off in the middle of each answer.
    Cut,
    /// Offers soft resets only.
    Soft,
    /// Its reset belongs to another system.
    Foreign,
}

/// A service that is served until dropped, its system being on.
pub(crate) struct Redfish {
    pub(crate) addr: SocketAddr,
    pub(crate) node: Switch,
    pub(crate) uuid: Identity,
    service: Arc<Mutex<Service>>,
    // Dropping the set ends its tasks.
    _tasks: JoinSet<()>,
}

impl Redfish {
    /// One that obeys and has a good certificate; `number` makes its UUID.
    pub(crate) async fn start(number: u8) -> Self {
        Self::with(number, GOOD).await
    }

    /// One with this certificate.
    pub(crate) async fn with(number: u8, pair: Pair) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let (node, uuid) = (Switch::new(true), Identity([number; 16]));
        let service = Arc::new(Mutex::new(Service::new(node.clone(), uuid)));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, acceptor(pair), Arc::clone(&service)));
        Self { addr, node, uuid, service, _tasks: tasks }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.service().behaviour = behaviour;
    }

    pub(crate) fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().expect("no test panics with it")
    }
}

fn acceptor(pair: Pair) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("a certificate")], key)
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, service: Arc<Mutex<Service>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(connection(stream, acceptor.clone(), Arc::clone(&service)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, service: Arc<Mutex<Service>>) {
    let behaviour = || service.lock().expect("no test panics with it").behaviour;
    if behaviour() == Behaviour::Silent {
        return sleep(Duration::from_secs(600)).await;
    }
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    while let Some(asked) = request(&mut stream).await {
        let now = behaviour();
        if now == Behaviour::Mute {
            return sleep(Duration::from_secs(600)).await;
        }
        if now == Behaviour::Endless {
            return flood(&mut stream).await;
        }
        if let Behaviour::Lags(by) = now {
            sleep(by).await;
        }
        let answer = service.lock().expect("no test panics with it").answer(&asked);
        let mut bytes = answer.bytes();
        let cut = behaviour() == Behaviour::Cut;
        if cut {
            bytes.truncate(bytes.len() - 5);
        }
        if stream.write_all(&bytes).await.is_err() || cut {
            return;
        }
    }
}

async fn flood(stream: &mut TlsStream<TcpStream>) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    let mut more = stream.write_all(head.as_bytes()).await;
    while more.is_ok() {
        more = stream.write_all(&[b' '; 16 << 10]).await;
    }
}

async fn request(stream: &mut TlsStream<TcpStream>) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > 16 << 10 || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut asked = Asked::parse(&head)?;
    while bytes.len() < end + asked.length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    asked.body = String::from_utf8_lossy(bytes.get(end..)?).into_owned();
    Some(asked)
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let headers: String = self.headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = self.body.len();
        let body = &self.body;
        format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}", self.status)
            .into_bytes()
    }
}
