//! A proxy that takes every order and does not carry it.

use std::net::{Ipv4Addr, SocketAddr};

use fencing::NodeId;
use fencing::bmc::proxy::{CHALLENGE, GOES_ON, GREETING, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

/// What it does once it has said that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    Silence,
    /// It ends the connection at once.
    Ends,
    /// It answers each datagram, or each piece of a stream, with itself.
    Echoes,
    /// It answers bytes of its own.
    Babbles,
}

/// A proxy that lies until it is dropped.
pub(crate) struct Liar {
    pub(crate) proxy: Proxy,
    _tasks: JoinSet<()>,
}

impl Liar {
    pub(crate) async fn start(lie: Lie) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("bound");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                all.spawn(async move { drop(converse(stream, lie).await) });
            }
        });
        let proxy = Proxy { node: NodeId(Uuid::from_u128(0xbad)), name: "liar".into(), address };
        Self { proxy, _tasks: tasks }
    }
}

async fn converse(mut stream: TcpStream, lie: Lie) -> std::io::Result<()> {
    stream.write_all(&[&GREETING[..], &[9; CHALLENGE]].concat()).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut order = vec![0; length];
    stream.read_exact(&mut order).await?;
    stream.write_all(&[GOES_ON]).await?;
    let mut bytes = [0; 2048];
    loop {
        if lie == Lie::Ends {
            return Ok(());
        }
        let length = stream.read(&mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        match lie {
            Lie::Silence | Lie::Ends => {}
            Lie::Echoes => stream.write_all(&bytes[..length]).await?,
            Lie::Babbles => stream.write_all(&[0, 8, 6, 0, 0xff, 7, 6, 0x11, 1, 2]).await?,
        }
    }
}
