//! Between the controllers and Nova: every request passes here, is written down, and can be caught on its way.
//!
//! ```text
//!  controller --request--> [caught Before] --> Nova --answer--> [caught After] --> controller
//! ```
//! What was caught goes on, or is lost: then the connection ends without a byte.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use uuid::Uuid;

/// A list of Nova's servers with all details is larger than any request.
const LARGEST: usize = 8 << 20;

/// A request that went by.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) body: String,
    /// Status of Nova's answer; `None` where Nova never saw the request, or did not answer.
    pub(crate) status: Option<u16>,
}

impl Seen {
    /// Whether it asks Nova to evacuate this server.
    pub(crate) fn evacuates(&self, server: Uuid) -> bool {
        self.method == "POST"
            && self.path.contains(&server.to_string())
            && self.body.contains("\"evacuate\"")
    }

    /// Whether it asks Nova for anything to be done with this server.
    pub(crate) fn touches(&self, server: Uuid) -> bool {
        self.method != "GET" && self.path.contains(&server.to_string())
    }

    /// Whether it asks Nova for a hard reboot of this server.
    pub(crate) fn reboots(&self, server: Uuid) -> bool {
        self.touches(server) && self.body.contains("\"HARD\"")
    }

    /// Whether it asks Nova to clear `forced_down`.
    pub(crate) fn forces_up(&self) -> bool {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        self.method == "PUT" && body["forced_down"] == false
    }

    fn read(head: &str, body: &[u8]) -> Seen {
        let mut words = head.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        Seen {
            method: word(),
            path: word(),
            token: header(head, "x-auth-token").unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
            status: None,
        }
    }
}

/// Where on its way a request is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Nova has not seen it.
    Before,
    /// Nova has answered, and the answer waits.
    After,
}

/// What becomes of what was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    GoesOn,
    IsLost,
}

/// A request that is to be caught, or was.
pub(crate) struct Caught {
    come: Option<oneshot::Receiver<()>>,
    fate: oneshot::Sender<Fate>,
}

impl Caught {
    /// Waits until it is there.
    pub(crate) async fn come(&mut self, what: &str, within: Duration) {
        let come = self.come.take().expect("it comes once");
        let come = tokio::time::timeout(within, come).await;
        assert!(matches!(come, Ok(Ok(()))), "waited {within:?} for {what}");
    }

    pub(crate) fn end(self, fate: Fate) {
        // Its client may be dead by now.
        let _ = self.fate.send(fate);
    }
}

struct Trap {
    wants: Box<dyn Fn(&Seen) -> bool + Send>,
    place: Where,
    come: oneshot::Sender<()>,
    fate: oneshot::Receiver<Fate>,
}

/// The listener, on a thread of its own: it goes on while the test waits for a program. Dropping it ends it.
pub(crate) struct Between {
    road: Road,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What listener and test share.
#[derive(Clone, Default)]
struct Road(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    seen: Vec<Seen>,
    traps: Vec<Trap>,
}

impl Between {
    /// Listens at `own` and hands on to `nova`, both `HOST:PORT`.
    pub(crate) fn listen(own: &str, nova: String) -> Between {
        let listener = std::net::TcpListener::bind(own).expect("the port beside Nova's is free");
        listener.set_nonblocking(true).unwrap();
        let (road, (stop, stopped)) = (Road::default(), oneshot::channel());
        let clone = road.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = clone.serve(listener, nova) => {}
                    _ = stopped => {}
                }
            });
        });
        Between { road, stop: Some(stop), thread: Some(thread) }
    }

    /// The next request that `wants` takes is caught there.
    pub(crate) fn catch(
        &self,
        place: Where,
        wants: impl Fn(&Seen) -> bool + Send + 'static,
    ) -> Caught {
        let (come, is_there) = oneshot::channel();
        let (end, fate) = oneshot::channel();
        self.road.with(|shared| {
            shared.traps.push(Trap { wants: Box::new(wants), place, come, fate });
        });
        Caught { come: Some(is_there), fate: end }
    }

    /// How many requests of this kind Nova answered with a status below 400.
    pub(crate) fn accepted(&self, wants: impl Fn(&Seen) -> bool) -> usize {
        let good = |seen: &&Seen| wants(seen) && seen.status.is_some_and(|status| status < 400);
        self.road.with(|shared| shared.seen.iter().filter(good).count())
    }

    /// How many requests of this kind the controllers sent, whatever became of them.
    pub(crate) fn sent(&self, wants: impl Fn(&Seen) -> bool) -> usize {
        self.road.with(|shared| shared.seen.iter().filter(|seen| wants(seen)).count())
    }

    /// All requests so far.
    #[allow(dead_code, reason = "the comparison with Masakari counts them")]
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.road.with(|shared| shared.seen.clone())
    }

    /// The tokens of all requests so far.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let mut tokens: Vec<String> =
            self.road.with(|shared| shared.seen.iter().map(|seen| seen.token.clone()).collect());
        tokens.sort();
        tokens.dedup();
        tokens.retain(|token| !token.is_empty());
        tokens
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Road {
    async fn serve(self, listener: TcpListener, nova: String) {
        while let Ok((client, _)) = listener.accept().await {
            let (road, nova) = (self.clone(), nova.clone());
            tokio::spawn(async move { road.carry(client, &nova).await });
        }
    }

    async fn carry(self, mut client: TcpStream, nova: &str) -> Option<()> {
        let (head, body) = request(&mut client).await?;
        let seen = Seen::read(&head, &body);
        let index = self.with(|shared| {
            shared.seen.push(seen.clone());
            shared.seen.len() - 1
        });
        self.wait_in_trap(&seen, Where::Before).await?;
        let mut server = TcpStream::connect(nova).await.ok()?;
        server.write_all(head_to_send(&head).as_bytes()).await.ok()?;
        server.write_all(&body).await.ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.ok()?;
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok();
        self.with(|shared| shared.seen[index].status = status);
        self.wait_in_trap(&seen, Where::After).await?;
        client.write_all(&answer).await.ok()?;
        client.shutdown().await.ok()
    }

    /// `None` if it is lost.
    async fn wait_in_trap(&self, seen: &Seen, place: Where) -> Option<()> {
        let trap = self.with(|shared| {
            let mut traps = shared.traps.iter();
            let at = traps.position(|trap| trap.place == place && (trap.wants)(seen))?;
            Some(shared.traps.remove(at))
        });
        let Some(trap) = trap else { return Some(()) };
        let _ = trap.come.send(());
        (trap.fate.await != Ok(Fate::IsLost)).then_some(())
    }

    fn with<T>(&self, deed: impl FnOnce(&mut Shared) -> T) -> T {
        deed(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Head and body of the one request that a connection carries.
async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > LARGEST || client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length: usize =
        header(&head, "content-length").map_or(Some(0), |text| text.parse().ok())?;
    while body.len() < length.min(LARGEST) {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Nova is to end the connection with its answer.
fn head_to_send(head: &str) -> String {
    let of_connection = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let lines: Vec<&str> =
        head.lines().filter(of_connection).filter(|line| !line.is_empty()).collect();
    format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))
}
