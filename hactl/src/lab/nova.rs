//! A stand-in for Keystone, Nova and Glance's list of images over HTTP, for the lab and for tests: the JSON of the real
//! ones over the model [`Cloud`]. `tests/nova_contract.rs` runs the same scenario over this and over a real Nova.
//!
//! ```text
//!   client --HTTP--> handle -> route (Request) -> Cloud -> json -> reply
//!                                                  |  ^
//!                                    orders (mpsc) v  | guest_started, compute_stopped, ... through `with`
//!                                              fake computes
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use sim::standin::nova::{Cloud, Done, Fault, Order, Request, Settings};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

mod json;
mod keystone;
mod route;

use keystone::Keystone;

/// After this a client that waits for a lost reply has given up long ago.
const LOST_FOR: Duration = Duration::from_secs(600);

/// What the stand-in is like.
#[derive(Clone, Debug)]
pub struct NovaSettings {
    /// The model's times and sizes.
    pub cloud: Settings,
    /// Service hosts of its computes, all up at first.
    pub computes: Vec<String>,
    /// The one user; its domain and project are not looked at.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Id of its application credential.
    pub credential_id: String,
    /// The credential's secret.
    pub credential_secret: String,
    /// Region in the catalog.
    pub region: String,
    /// Lifetime of tokens.
    pub token_lifetime: Duration,
}

impl Default for NovaSettings {
    fn default() -> NovaSettings {
        NovaSettings {
            cloud: Settings::default(),
            computes: Vec::new(),
            user: "admin".to_string(),
            password: "stand-in".to_string(),
            credential_id: "stand-in".to_string(),
            credential_secret: "stand-in".to_string(),
            region: "RegionOne".to_string(),
            token_lifetime: Duration::from_secs(3600),
        }
    }
}

/// A running stand-in. Clones are handles to the same one; it ends with [`NovaStandin::stop`].
#[derive(Clone)]
pub struct NovaStandin {
    shared: Arc<Shared>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

struct Shared {
    address: SocketAddr,
    origin: Instant,
    cloud: Mutex<Cloud>,
    keystone: Mutex<Keystone>,
    page: usize,
    orders: mpsc::UnboundedSender<Order>,
    changed: Notify,
}

impl NovaStandin {
    /// Serves on `listener`. The receiver gets what the computes have to do; what became of it is told through
    /// [`NovaStandin::with`].
    pub fn serve(
        listener: TcpListener,
        settings: NovaSettings,
    ) -> io::Result<(NovaStandin, mpsc::UnboundedReceiver<Order>)> {
        let address = listener.local_addr()?;
        let (orders, receiver) = mpsc::unbounded_channel();
        let mut cloud = Cloud::new(settings.cloud.clone());
        for host in &settings.computes {
            cloud.add_compute(Duration::ZERO, host);
        }
        let shared = Arc::new(Shared {
            address,
            origin: Instant::now(),
            cloud: Mutex::new(cloud),
            page: settings.cloud.page,
            keystone: Mutex::new(Keystone::new(settings, address)),
            orders,
            changed: Notify::new(),
        });
        let app = Router::new().fallback(handle).with_state(shared.clone());
        let http = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the Nova stand-in no longer serves");
            }
        });
        let timer = tokio::spawn(keep_time(shared.clone()));
        let tasks = Arc::new(Mutex::new(vec![http.abort_handle(), timer.abort_handle()]));
        Ok((NovaStandin { shared, tasks }, receiver))
    }

    /// Keystone's address, with `/v3`.
    pub fn auth_url(&self) -> String {
        format!("http://{}/v3", self.shared.address)
    }

    /// Does something to the model: tells it what its computes did, switches faults, looks at it. The second argument
    /// is the model's time.
    pub fn with<R>(&self, act: impl FnOnce(&mut Cloud, Duration) -> R) -> R {
        self.shared.with(act)
    }

    /// Makes all tokens invalid, as a key rotation does.
    pub fn expire_tokens(&self) {
        lock(&self.shared.keystone).expire_tokens();
    }

    /// Ends serving; open connections are cut.
    pub fn stop(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

impl Shared {
    fn with<R>(&self, act: impl FnOnce(&mut Cloud, Duration) -> R) -> R {
        let mut cloud = lock(&self.cloud);
        let now = self.origin.elapsed();
        cloud.poll(now);
        let result = act(&mut cloud, now);
        while let Some(order) = cloud.poll_order() {
            // Without a receiver there are no computes, and orders go nowhere.
            let _ = self.orders.send(order);
        }
        self.changed.notify_one();
        result
    }
}

/// A poisoned lock only says that a test panicked elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls the model when it is due.
async fn keep_time(shared: Arc<Shared>) {
    loop {
        let due = lock(&shared.cloud).poll_timeout().map(|(at, _)| shared.origin + at);
        match due {
            Some(due) if due <= Instant::now() => {
                shared.with(|_, _| ());
                tokio::task::yield_now().await;
            }
            Some(due) => tokio::select! {
                biased;
                () = shared.changed.notified() => {}
                () = tokio::time::sleep_until(due) => {}
            },
            None => shared.changed.notified().await,
        }
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    match path.as_slice() {
        ["v3", "auth", "tokens"] if method == Method::POST => {
            return lock(&shared.keystone).token(&body);
        }
        [] => return json::versions(),
        ["v2.1"] => return json::version_document(),
        ["v2.1", rest @ ..] => {
            if !lock(&shared.keystone).knows(&headers) {
                return json::unauthorized();
            }
            return nova(&shared, &method, rest, &uri, &headers, &body).await;
        }
        ["image", "v2", "images"] if method == Method::GET => {
            if !lock(&shared.keystone).knows(&headers) {
                return json::unauthorized();
            }
            return glance(&shared, &route::Query::of(&uri)).await;
        }
        _ => {}
    }
    json::plain(404, "404 Not Found")
}

async fn nova(
    shared: &Shared,
    method: &Method,
    path: &[&str],
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let version = match json::asked_version(headers) {
        Ok(version) => version,
        Err(reply) => return *reply,
    };
    let query = route::Query::of(uri);
    let asked = route::Asked { method, path, query: &query, body, version };
    let request = match route::request(&asked) {
        Ok(route::Route::Nova(request)) => request,
        Ok(route::Route::Images) => return json::images(version),
        Err(fault) => return json::reply(version, "req-0", Err(fault), &query, 0, shared.address),
    };
    let served = shared.with(|cloud, now| cloud.serve(now, &request));
    let Some(result) = served.result else {
        tokio::time::sleep(LOST_FOR).await;
        return json::plain(504, "Gateway Timeout");
    };
    tokio::time::sleep(served.after).await;
    json::reply(version, &served.request_id, result, &query, shared.page, shared.address)
}

/// Images with a tag, on one page. Properties are not modelled: nothing has one.
async fn glance(shared: &Shared, query: &route::Query) -> Response {
    let hidden = query.value("os_hidden") == Some("true");
    let tag = query.value("tag").unwrap_or_default().to_string();
    let request = Request::Images { tag: tag.clone() };
    let served = shared.with(|cloud, now| cloud.serve(now, &request));
    tokio::time::sleep(served.after).await;
    match served.result {
        Some(Ok(Done::Images(ids))) => json::image_list(&tag, ids.iter().filter(|_| !hidden)),
        Some(Err(fault)) => json::plain(fault.status, "Glance"),
        Some(Ok(_)) | None => json::plain(500, "Glance"),
    }
}

fn bad_request(message: impl Into<String>) -> Fault {
    Fault { status: 400, message: message.into() }
}
