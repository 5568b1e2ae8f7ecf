//! Asking the controllers. Any of them may be asked; only the leader answers, the others name it.
//!
//! A question is put to one controller after the other until one answers. An order moves on only if it certainly did
//! not arrive: an order whose answer was lost is never sent twice.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use api::{Done, Failure, Request};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::client_error::ClientError;
use crate::picture::{Picture, safe};
use crate::reading::harmless;

/// How to reach the controllers.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Controllers")]
pub struct Reach {
    /// The controllers' URLs, all of them: one that is down then does not matter.
    #[arg(
        long,
        global = true,
        value_name = "URL,URL",
        env = "HOLDFAST_CONTROLLERS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub controllers: Vec<String>,

    /// File with the token. (Never in words: other users of this machine could read them.)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "HOLDFAST_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,

    /// File with the CA certificates (PEM) to trust instead of the system's.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "HOLDFAST_CA_FILE",
        hide_env_values = true
    )]
    pub ca_file: Option<PathBuf>,
}

/// A client for one command.
pub(crate) struct Client {
    http: reqwest::Client,
    urls: Vec<Url>,
    // Marked as sensitive, so that it does not print.
    token: Option<HeaderValue>,
}

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(15);
/// A picture of 1,000 nodes has a few MB; anything beyond this is not one.
const LONGEST: usize = 64 << 20;
/// More controllers than any cluster has.
const MOST_TRIED: usize = 32;

struct Ask<'a> {
    method: Method,
    path: &'static str,
    request: Option<&'a Request>,
}

enum Reply {
    Body(Vec<u8>),
    No(Failure),
}

enum Silence {
    /// The request did not arrive.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

impl Client {
    pub(crate) fn new(reach: &Reach) -> Result<Self, ClientError> {
        let named = reach.controllers.iter().map(|url| url.trim()).filter(|url| !url.is_empty());
        let urls = named.map(parse_url).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ClientError::NoControllers);
        }
        let token = reach.token_file.as_ref().map(read_token).transpose()?;
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            // Controllers are neighbours; a proxy for the internet would get the token.
            .no_proxy();
        if let Some(file) = &reach.ca_file {
            http = http.tls_certs_only(read_certificates(file)?);
        }
        let http = http.build().map_err(|error| ClientError::Start(deepest(&error)))?;
        Ok(Self { http, urls, token })
    }

    /// The whole picture.
    pub(crate) async fn picture(&self) -> Result<Picture, ClientError> {
        let ask = Ask { method: Method::GET, path: "state", request: None };
        let (url, body) = self.ask(&ask).await?;
        let language = |why: String| ClientError::Language { url: url.clone(), why };
        let raw = String::from_utf8(body).map_err(|_| language("not UTF-8".to_owned()))?;
        Picture::read(raw).map_err(|error| language(error.to_string()))
    }

    /// Which VMs run where, as it came.
    pub(crate) async fn vms(&self) -> Result<Value, ClientError> {
        let ask = Ask { method: Method::GET, path: "vms", request: None };
        let (url, body) = self.ask(&ask).await?;
        let read = serde_json::from_slice(&body);
        read.map_err(|error| ClientError::Language { url, why: error.to_string() })
    }

    /// Sends an order; the answer is the commit.
    pub(crate) async fn order(&self, request: &Request) -> Result<Done, ClientError> {
        let ask = Ask { method: Method::POST, path: "do", request: Some(request) };
        let (url, body) = self.ask(&ask).await?;
        let done = serde_json::from_slice::<Value>(&body).and_then(safe);
        done.map_err(|error| ClientError::Language { url, why: error.to_string() })
    }

    async fn ask(&self, ask: &Ask<'_>) -> Result<(String, Vec<u8>), ClientError> {
        let mut waiting: VecDeque<Url> = self.urls.iter().cloned().collect();
        let mut asked = BTreeSet::new();
        let mut tried = Vec::new();
        let mut answered = false;
        while let Some(url) = waiting.pop_front() {
            if asked.len() >= MOST_TRIED || !asked.insert(url.clone()) {
                continue;
            }
            let name = shown(&url);
            match self.once(&url, ask).await {
                Ok(Reply::Body(body)) => return Ok((name, body)),
                Ok(Reply::No(Failure::NotLeader { leader, url: next })) => {
                    answered = true;
                    let next = next.as_deref().and_then(|next| parse_url(next).ok());
                    let next = next.filter(|next| may_follow(&url, next));
                    tried.push((name, not_leader(leader, next.as_ref())));
                    if let Some(next) = next {
                        waiting.push_front(next);
                    }
                }
                Ok(Reply::No(Failure::NotAllowed)) => {
                    return Err(ClientError::NotAllowed { url: name, token: self.token.is_some() });
                }
                Ok(Reply::No(Failure::Refused { why })) => {
                    return Err(ClientError::Refused { why });
                }
                Ok(Reply::No(Failure::Unknown { look })) => {
                    let why = "the leader changed before the commit was seen".to_owned();
                    return Err(ClientError::Unknown { why, look });
                }
                Err(Silence::Lost(why)) if ask.request.is_some() => {
                    let look = "`hactl status` and `hactl incidents`".to_owned();
                    return Err(ClientError::Unknown { why: format!("{name}: {why}"), look });
                }
                Err(Silence::NotSent(why) | Silence::Lost(why)) => tried.push((name, why)),
            }
        }
        if answered {
            Err(ClientError::NoLeader { tried })
        } else {
            Err(ClientError::Unreachable { tried })
        }
    }

    async fn once(&self, url: &Url, ask: &Ask<'_>) -> Result<Reply, Silence> {
        let path = format!("{}/{}/{}", url.path().trim_end_matches('/'), api::VERSION, ask.path);
        let mut full = url.clone();
        full.set_path(&path);
        let mut sending = self.http.request(ask.method.clone(), full);
        if let Some(token) = &self.token {
            sending = sending.header(AUTHORIZATION, token.clone());
        }
        if let Some(request) = ask.request {
            sending = sending.json(request);
        }
        let mut response = sending.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                Silence::NotSent(what_happened(&error))
            } else {
                Silence::Lost(what_happened(&error))
            }
        })?;
        let mut body = Vec::new();
        while let Some(part) =
            response.chunk().await.map_err(|error| Silence::Lost(what_happened(&error)))?
        {
            body.extend_from_slice(&part);
            if body.len() > LONGEST {
                return Err(Silence::Lost("the answer is too long to be one".to_owned()));
            }
        }
        if response.status().is_success() {
            return Ok(Reply::Body(body));
        }
        match serde_json::from_slice::<Value>(&body).and_then(safe::<Failure>) {
            Ok(failure) => Ok(Reply::No(failure)),
            Err(_) if response.status() == reqwest::StatusCode::UNAUTHORIZED => {
                Ok(Reply::No(Failure::NotAllowed))
            }
            Err(_) => Err(Silence::Lost(foreign(response.status(), &body))),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, ClientError> {
    let wrong = |why: &str| ClientError::Url { url: harmless(text, false), why: why.to_owned() };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a token belongs into --token-file"));
    }
    Ok(url)
}

/// The token must not go in clear because of what a controller says.
fn may_follow(from: &Url, to: &Url) -> bool {
    from.scheme() != "https" || to.scheme() == "https"
}

fn not_leader(leader: Option<u64>, next: Option<&Url>) -> String {
    match (leader, next) {
        (Some(id), Some(url)) => {
            format!("does not lead; it names controller {id} at {}", shown(url))
        }
        (None, Some(url)) => format!("does not lead; it names {}", shown(url)),
        (Some(id), None) => {
            format!("does not lead; it names controller {id}, without a URL to follow")
        }
        (None, None) => "does not lead and knows no leader".to_owned(),
    }
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn read_token(file: &PathBuf) -> Result<HeaderValue, ClientError> {
    let wrong = |why: String| ClientError::File { file: file.clone(), why };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(wrong("there is no token in it".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| wrong("a token is one line of letters and digits".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_certificates(file: &PathBuf) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let wrong = |why: String| ClientError::File { file: file.clone(), why };
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(deepest(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("there is no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}

fn what_happened(error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return format!("no connection within {} s", CONNECT.as_secs());
    }
    if error.is_timeout() {
        return format!("no answer within {} s", ANSWER.as_secs());
    }
    deepest(error)
}

/// The innermost cause, which is what an operator can act on.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    harmless(&cause.to_string(), false)
}

/// The first words of an answer that is not the API's, such as a proxy's page.
fn foreign(status: reqwest::StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = harmless(text.lines().next().unwrap_or_default(), false);
    let short: String = line.chars().take(60).collect();
    if short.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {short}") }
}
