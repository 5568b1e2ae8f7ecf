//! Bytes over HTTP, bounded in size and time. Knows nothing of Nova.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::error::SetupError;
use super::settings::Settings;

/// To connect, TLS included. Longer than a lost SYN's first repeat, short enough to try again.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// One read.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(10);
/// One write: more than Nova's own RPC limit of 60 s.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(90);
/// One page of a list of 1000 servers.
pub(super) const PAGE_LIMIT: Duration = Duration::from_secs(30);
/// 1000 servers with all details are some 3 MB.
const MAX_BODY: usize = 16 << 20;
/// Longest text that we carry from an answer into an error or a log.
pub(super) const MAX_TEXT: usize = 300;

/// A complete answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// No complete answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No byte of the request left: no name, refused, connect time-out, TLS before the first byte.
    NotSent(String),
    /// As `NotSent`: the peer's certificate is not trusted.
    Untrusted(String),
    /// The request, or a part of it, may have arrived.
    Lost(String),
}

impl Failure {
    pub(super) fn text(self) -> String {
        match self {
            Failure::NotSent(text) | Failure::Untrusted(text) | Failure::Lost(text) => text,
        }
    }
}

pub(super) struct Transport {
    http: reqwest::Client,
}

impl Transport {
    /// Every exchange has a connection of its own: a pooled one that the peer has just closed cannot be told from
    /// a request that was lost.
    pub(super) fn new(settings: &Settings) -> Result<Transport, SetupError> {
        ensure_tls_provider();
        let http = match authorities(settings)? {
            Some(certificates) => builder().tls_certs_only(certificates).build(),
            // A cloud without TLS must not need the system's CA bundle.
            None if settings.auth_url.starts_with("http://") => {
                builder().build().or_else(|_| builder().tls_certs_only([]).build())
            }
            None => builder().build(),
        };
        Ok(Transport { http: http.map_err(|error| SetupError::Tls(chain(&error)))? })
    }

    pub(super) fn request(
        &self,
        method: reqwest::Method,
        url: reqwest::Url,
    ) -> reqwest::RequestBuilder {
        self.http.request(method, url).header("Accept", "application/json")
    }

    /// Sends once, waits until `limit`.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: Instant,
    ) -> Result<Answered, Failure> {
        let left = limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::NotSent("the deadline passed before it was sent".to_string()));
        }
        let mut response = request.timeout(left).send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Failure::Lost(format!("the answer is larger than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answered { status, headers, body })
    }
}

/// Gives the process ring as its TLS provider, unless it has one; reqwest builds no client without.
pub fn ensure_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if somebody else was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(0)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
}

fn authorities(settings: &Settings) -> Result<Option<Vec<reqwest::Certificate>>, SetupError> {
    let Some(path) = &settings.ca_file else { return Ok(None) };
    let wrong = |problem: String| SetupError::CaFile { path: path.clone(), problem };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(chain(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate in it".to_string()));
    }
    Ok(Some(certificates))
}

fn failure(error: reqwest::Error) -> Failure {
    let text = chain(&error);
    if !error.is_connect() {
        Failure::Lost(text)
    } else if text.contains("certificate") {
        Failure::Untrusted(text)
    } else {
        Failure::NotSent(text)
    }
}

fn cut(error: reqwest::Error) -> Failure {
    Failure::Lost(format!("the answer was cut off: {}", chain(&error)))
}

/// The error with its causes, without the URL (which the caller names).
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        // Wrappers repeat what they wrap.
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        cause = inner.source();
    }
    if error.is_timeout() && !text.contains("tim") {
        text.push_str(" (timed out)");
    }
    clip(if text.is_empty() { "the exchange failed" } else { &text })
}

/// Text of others, made fit to show: no control characters, at most [`MAX_TEXT`] characters.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
