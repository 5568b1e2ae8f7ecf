//! The shell around an exchange: a connection of its own for each question, bounded in time and size.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Proxy, Response, Url};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::resource::{FORCE_OFF, clip};
use super::{Answer, Auth, Body, Exchange, Method, Next, Plan, RedfishFailure, RedfishTarget};
use super::{Request, Stage};
use crate::bmc::proxy::Tunnel;
use crate::bmc::{Ask, Failure, Identity, Reply, Secret};

/// To connect, TLS included: BMCs take a second and more for their part of it.
const CONNECT: Duration = Duration::from_secs(5);
/// For the logout, after the deadline if need be: else the BMC keeps the session for half an hour.
const LOG_OUT: Duration = Duration::from_secs(1);
/// Longest answer, in bytes. A system with everything is some 50 kB.
const LONGEST: usize = 512 << 10;
/// Longest token.
const LONGEST_TOKEN: usize = 4 << 10;
/// Header of the session's token (DSP0266, 13.3.4).
const TOKEN: &str = "x-auth-token";

/// Asks a system one question over a connection of its own; returns within `deadline` and, where a
/// session must be ended, a second. With [`Ask::Off`] and `expect`, nothing is switched off unless
/// exactly that identity was read before in the same question, from a peer with the same right to be
/// believed; with [`Ask::Read`] the caller compares.
///
/// It never fails to return a [`Reply`]; dropping the future leaves the question unanswered and, with
/// [`super::LogIn::Session`], a session of the BMC open until the BMC's own time-out.
pub async fn ask(
    target: &RedfishTarget,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
) -> Reply {
    ask_by(target, ask, expect, deadline, None).await
}

/// As [`ask`], by way of a proxy where there is a tunnel to one. TLS goes through it, to the BMC.
pub(in crate::bmc) async fn ask_by(
    target: &RedfishTarget,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
    tunnel: Option<&Tunnel>,
) -> Reply {
    let limit = Instant::now() + deadline;
    let reply = match Line::new(target, tunnel) {
        Ok(line) => line.converse(ask, expect, limit).await,
        Err(why) => Reply::Failed(Failure::Unusable(why.into())),
    };
    tracing::debug!(bmc = %target.addr, %ask, %reply, "asked");
    reply
}

/// A client for one question.
struct Line<'a> {
    target: &'a RedfishTarget,
    client: Client,
    base: Url,
}

impl<'a> Line<'a> {
    fn new(target: &'a RedfishTarget, tunnel: Option<&Tunnel>) -> Result<Self, String> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(target.trust.config()?)
            .connect_timeout(CONNECT)
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        if let Some(tunnel) = tunnel {
            let word = HeaderValue::from_str(tunnel.word()).map_err(|error| error.to_string())?;
            let proxy = Proxy::all(tunnel.url()).map_err(|error| chain(&error))?;
            builder = builder.proxy(proxy.custom_http_auth(word));
        }
        let base = match &target.name {
            // The name is for the certificate alone: where it is we know.
            Some(name) => {
                builder = builder.resolve(name, target.addr);
                format!("https://{name}:{}/", target.addr.port())
            }
            None => format!("https://{}/", target.addr),
        };
        let base = Url::parse(&base).map_err(|error| format!("{base}: {error}"))?;
        let client = builder.build().map_err(|error| chain(&error))?;
        Ok(Self { target, client, base })
    }

    async fn converse(self, ask: Ask, expect: Option<Identity>, limit: Instant) -> Reply {
        let plan = Plan {
            ask,
            expect,
            log_in: self.target.log_in,
            system: self.target.system.clone(),
            uuid: self.target.uuid,
            serial: self.target.serial.clone(),
        };
        let (mut exchange, mut request) = Exchange::new(plan);
        loop {
            let limit = match request.stage {
                Stage::LogOut => Instant::now() + LOG_OUT,
                Stage::Root
                | Stage::LogIn
                | Stage::Systems
                | Stage::System
                | Stage::ActionInfo
                | Stage::Reset => limit,
            };
            let answer = self.send(&request, limit).await;
            match exchange.answered(answer) {
                Next::Send(next) => request = next,
                Next::Done(reply) => return reply,
            }
        }
    }

    async fn send(&self, request: &Request, limit: Instant) -> Result<Answer, RedfishFailure> {
        let stage = request.stage;
        let lost = |why: &str| RedfishFailure::Lost { stage, why: why.to_owned() };
        let left = limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(lost("out of time"));
        }
        let url = self.base.join(&request.path).ok();
        let url =
            url.filter(|url| url.path() == request.path && url.origin() == self.base.origin());
        let url =
            url.ok_or_else(|| RedfishFailure::Nonsense { stage, why: "a strange path".into() })?;
        let call = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Delete => self.client.delete(url),
        };
        let call = call.header(ACCEPT, "application/json").header("OData-Version", "4.0");
        let call = match &request.auth {
            Auth::Nobody => call,
            Auth::Basic => {
                call.basic_auth(&self.target.user, Some(self.target.password.expose_text()))
            }
            Auth::Token(token) => {
                let mut value = HeaderValue::from_bytes(token.expose()).map_err(|_| {
                    RedfishFailure::Nonsense { stage, why: "a strange token".into() }
                })?;
                value.set_sensitive(true);
                call.header(TOKEN, value)
            }
        };
        let call = match request.body {
            None => call,
            Some(body) => {
                call.header(CONTENT_TYPE, "application/json").body(self.body(body).to_vec())
            }
        };
        let response = call.timeout(left).send().await.map_err(|error| failure(stage, &error))?;
        read(stage, response).await
    }

    fn body(&self, body: Body) -> Zeroizing<Vec<u8>> {
        let value = match body {
            Body::ForceOff => serde_json::json!({ "ResetType": FORCE_OFF }),
            Body::LogIn => serde_json::json!({
                "UserName": self.target.user, "Password": self.target.password.expose_text()
            }),
        };
        Zeroizing::new(value.to_string().into_bytes())
    }
}

async fn read(stage: Stage, mut response: Response) -> Result<Answer, RedfishFailure> {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(stage, &error))? {
        if body.len() + chunk.len() > LONGEST {
            return Err(RedfishFailure::TooLong(stage));
        }
        body.extend_from_slice(&chunk);
    }
    let token = header(&headers, TOKEN).filter(|token| token.len() <= LONGEST_TOKEN);
    let location = header(&headers, LOCATION.as_str()).map(str::to_owned);
    Ok(Answer { status, token: token.map(|token| Secret::new(token.to_owned())), location, body })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn failure(stage: Stage, error: &reqwest::Error) -> RedfishFailure {
    let why = chain(error);
    if !error.is_connect() {
        return RedfishFailure::Lost { stage, why };
    }
    let lower = why.to_ascii_lowercase();
    if lower.contains("certificate") || lower.contains("badsignature") {
        RedfishFailure::Untrusted(why)
    } else {
        RedfishFailure::Unreachable(why)
    }
}

/// The causes of an error, without the URL.
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
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    clip(if text.is_empty() { "the exchange failed" } else { &text })
}
