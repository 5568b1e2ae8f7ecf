//! The HTTP client for Nova: one [`Call`] in, one [`Reply`] out.
//!
//! Thin on purpose (`docs/decisions/0006-nova-client.md`). It adds to plain HTTP what a controller needs and generic
//! clients do not give: a new token on 401, a microversion pinned per call and checked in the answer, whole lists or
//! none, and for each write one of four typed ends. It never repeats a write.
//!
//! ```text
//! Call -> request (path, body, pin) -> exchange (token, bytes, echo) -> answer (records) | refusal -> Reply
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use super::call::{Call, ReadFailure, Reply, Written};

mod answer;
mod catalog;
mod clouds_yaml;
mod error;
mod images;
mod keystone;
mod microversion;
mod read;
mod refusal;
mod request;
mod room;
mod settings;
mod transport;
mod write;

pub use error::SetupError;
pub use microversion::Microversion;
pub use settings::{Credential, Interface, NovaConfig, Reference, Secret, Settings};

pub use transport::ensure_tls_provider;

use keystone::TokenStore;
use transport::{READ_LIMIT, Transport};

/// What [`Client::start`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The newest microversion that this Nova speaks.
    pub max_microversion: Microversion,
    /// The compute endpoint from the catalog, with `/v2.1`.
    pub endpoint: String,
    /// Lifetime of the first token, as Keystone states it.
    pub token_lifetime: Duration,
}

/// A client of one cloud's Nova. Cheap to clone; all clones share the token.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    tokens: Mutex<TokenStore>,
    /// Newest microversion of the server; `None` before the first discovery.
    newest: RwLock<Option<Microversion>>,
}

impl Client {
    /// Prepares a client; nothing is sent yet. Fails when the settings contradict themselves or the CA file cannot
    /// be used.
    pub fn new(settings: Settings) -> Result<Client, SetupError> {
        let transport = Transport::new(&settings)?;
        let tokens = Mutex::new(TokenStore::new(settings)?);
        Ok(Client { shared: Arc::new(Shared { transport, tokens, newest: RwLock::new(None) }) })
    }

    /// Gets a token, finds the compute endpoint and learns which microversions it speaks. Each error names what to
    /// repair; the caller refuses to start on one (except [`SetupError::is_transient`], which is worth waiting for).
    pub async fn start(&self) -> Result<Started, SetupError> {
        let limit = Instant::now() + READ_LIMIT;
        let token = self.shared.tokens.lock().await.token(&self.shared.transport, limit).await?;
        let newest = self.discover(&token.endpoint, Instant::now() + READ_LIMIT).await?;
        Ok(Started {
            max_microversion: newest,
            endpoint: token.endpoint.to_string(),
            token_lifetime: token.lifetime,
        })
    }

    /// Carries out `call` and answers within about `deadline` (measured from now; token and discovery included).
    /// A read that fails concludes nothing; a write whose end is not known is [`Written::Unknown`].
    pub async fn call(&self, call: Call, deadline: Duration) -> Reply {
        let limit = Instant::now() + deadline;
        let reply = if call.writes() {
            Reply::Written(self.write(&call, limit).await)
        } else {
            self.read(&call, limit).await.unwrap_or_else(Reply::ReadFailed)
        };
        log(&call, &reply);
        reply
    }

    /// Asks the endpoint for its newest microversion and keeps it.
    async fn discover(
        &self,
        endpoint: &reqwest::Url,
        limit: Instant,
    ) -> Result<Microversion, SetupError> {
        let newest = microversion::discover(&self.shared.transport, endpoint, limit).await?;
        *self.shared.newest.write().await = Some(newest);
        if newest < microversion::OLDEST {
            return Err(SetupError::TooOld { newest, oldest: microversion::OLDEST });
        }
        Ok(newest)
    }
}

fn log(call: &Call, reply: &Reply) {
    match reply {
        Reply::Written(Written::Done { request_id, .. }) => {
            tracing::info!(%call, request_id, "nova accepted");
        }
        Reply::Written(Written::Refused(refused)) => {
            tracing::info!(%call, status = refused.status, message = refused.message, "nova refused");
        }
        Reply::Written(Written::NotSent(why)) => tracing::warn!(%call, why, "not sent to nova"),
        Reply::Written(Written::Unknown(why)) => {
            tracing::warn!(%call, why, "nova may or may not have done this");
        }
        Reply::ReadFailed(
            ReadFailure::Unavailable(why) | ReadFailure::NoRight(why) | ReadFailure::NotNova(why),
        ) => tracing::warn!(%call, why, "nova could not be read"),
        Reply::Service(_)
        | Reply::Services(_)
        | Reply::Servers(_)
        | Reply::Server(_)
        | Reply::Migrations(_)
        | Reply::Hypervisors(_)
        | Reply::Aggregates(_)
        | Reply::Groups(_)
        | Reply::Images(_)
        | Reply::Actions(_) => tracing::debug!(%call, "nova answered"),
    }
}

#[cfg(test)]
mod tests;
