//! Reads: may be repeated once with a new token or after learning the server's versions again; otherwise one failure
//! ends them, and the caller decides when to ask again.

use reqwest::Url;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Page};
use super::error::SetupError;
use super::keystone::Token;
use super::microversion::{self, Microversion};
use super::refusal;
use super::request::Request;
use super::transport::{Answered, Failure, clip};
use super::{Client, READ_LIMIT, room};
use crate::nova::call::{Call, ReadFailure, Reply};
use std::sync::Arc;

/// A host with more pages than this (of 1000) is not believed.
const MAX_PAGES: usize = 50;
/// Rows of a page of server groups; Nova's own maximum by default.
const PAGE: usize = 1000;

impl Client {
    pub(super) async fn read(&self, call: &Call, limit: Instant) -> Result<Reply, ReadFailure> {
        let first = Request::of(call);
        match call {
            Call::Service { host } => {
                let body = self.found(call, &first, limit).await?;
                answer::service(&body, host).map(Reply::Service)
            }
            Call::Services => {
                let body = self.found(call, &first, limit).await?;
                answer::services(&body).map(Reply::Services)
            }
            Call::Server { server } => match self.fetch(call, &first, limit).await? {
                Some(body) => answer::server(&body, *server).map(Some).map(Reply::Server),
                None => Ok(Reply::Server(None)),
            },
            Call::ServersOn { host } => {
                let parse = |body: &[u8]| answer::servers(body, host);
                self.pages(call, first, limit, parse).await.map(Reply::Servers)
            }
            Call::MigrationsFrom { host, kind } => {
                let parse = |body: &[u8]| answer::migrations(body, host, *kind);
                self.pages(call, first, limit, parse).await.map(Reply::Migrations)
            }
            Call::Actions { .. } => {
                let body = self.found(call, &first, limit).await?;
                answer::actions(&body).map(Reply::Actions)
            }
            Call::Hypervisors => {
                let pages = self.pages(call, first, limit, room::hypervisors);
                pages.await.map(Reply::Hypervisors)
            }
            Call::Aggregates => {
                let body = self.found(call, &first, limit).await?;
                room::aggregates(&body).map(Reply::Aggregates)
            }
            Call::Groups => {
                // The list has no links: a full page is asked for by its offset.
                let mut groups = Vec::new();
                for page in 0..MAX_PAGES {
                    let request = first.page_from(page * PAGE);
                    let body = self.found(call, &request, limit).await?;
                    let mut rows = room::groups(&body)?;
                    let last = rows.len() < PAGE;
                    groups.append(&mut rows);
                    if last {
                        return Ok(Reply::Groups(groups));
                    }
                }
                Err(ReadFailure::NotNova(format!("more than {MAX_PAGES} pages of server groups")))
            }
            Call::Images { label } => self.images(label, &first, limit).await.map(Reply::Images),
            Call::ForceDown { .. }
            | Call::Disable { .. }
            | Call::ClearForcedDown { .. }
            | Call::Enable { .. }
            | Call::Evacuate { .. }
            | Call::LiveMigrate { .. }
            | Call::Stop { .. }
            | Call::Reboot { .. } => Err(ReadFailure::NotNova("a write is no read".to_string())),
        }
    }

    /// All pages, or none.
    async fn pages<T>(
        &self,
        call: &Call,
        mut request: Request,
        limit: Instant,
        parse: impl Fn(&[u8]) -> Result<Page<T>, ReadFailure>,
    ) -> Result<Vec<T>, ReadFailure> {
        let mut rows = Vec::new();
        let mut last = None;
        for _ in 0..MAX_PAGES {
            let body = self.found(call, &request, limit).await?;
            let mut page = parse(&body)?;
            rows.append(&mut page.rows);
            let Some(marker) = page.marker else { return Ok(rows) };
            if last.as_ref() == Some(&marker) {
                return Err(ReadFailure::NotNova("a page that leads to itself".to_string()));
            }
            request = request.page_after(&marker);
            last = Some(marker);
        }
        Err(ReadFailure::NotNova(format!("more than {MAX_PAGES} pages")))
    }

    async fn found(
        &self,
        call: &Call,
        request: &Request,
        limit: Instant,
    ) -> Result<Vec<u8>, ReadFailure> {
        let body = self.fetch(call, request, limit).await?;
        // Concluding "empty" from a 404 could start a second evacuation.
        body.ok_or_else(|| ReadFailure::NotNova("404: gone, or invisible to us".to_string()))
    }

    /// The body of a 200; `None` for Nova's own 404.
    async fn fetch(
        &self,
        call: &Call,
        request: &Request,
        limit: Instant,
    ) -> Result<Option<Vec<u8>>, ReadFailure> {
        let mut token_renewed = false;
        let mut discovered = false;
        loop {
            let (token, newest) = self.ready(limit).await.map_err(not_ready)?;
            let version = microversion::choose(call, newest)
                .ok_or_else(|| ReadFailure::NotNova(format!("Nova speaks only up to {newest}")))?;
            let answered = self.exchange(request, &token, version, limit).await;
            let answered = answered.map_err(|failure| ReadFailure::Unavailable(failure.text()))?;
            match answered.status {
                401 if !token_renewed => {
                    token_renewed = true;
                    self.shared.tokens.lock().await.refused(&token);
                }
                406 if !discovered => {
                    discovered = true;
                    let limit = limit.min(Instant::now() + READ_LIMIT);
                    self.discover(&token.endpoint, limit).await.map_err(not_ready)?;
                }
                _ => return judge(answered, version),
            }
        }
    }

    /// A token and the server's newest version, asked for if need be.
    pub(super) async fn ready(
        &self,
        limit: Instant,
    ) -> Result<(Arc<Token>, Microversion), SetupError> {
        let token = self.token(limit).await?;
        let known = *self.shared.newest.read().await;
        let newest = match known {
            Some(newest) => newest,
            None => {
                let limit = limit.min(Instant::now() + READ_LIMIT);
                self.discover(&token.endpoint, limit).await?
            }
        };
        Ok((token, newest))
    }

    /// A token, asked for if need be.
    pub(super) async fn token(&self, limit: Instant) -> Result<Arc<Token>, SetupError> {
        let late = |_| SetupError::KeystoneUnreachable {
            url: "auth_url".to_string(),
            problem: "no token within the deadline".to_string(),
        };
        let mut tokens = timeout_at(limit, self.shared.tokens.lock()).await.map_err(late)?;
        tokens.token(&self.shared.transport, limit).await
    }

    /// Sends `request` once.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        token: &Token,
        version: Microversion,
        limit: Instant,
    ) -> Result<Answered, Failure> {
        let transport = &self.shared.transport;
        let url: Option<Url> = request.url(&token.endpoint);
        let url = url.ok_or_else(|| Failure::NotSent("unusable endpoint address".to_string()))?;
        let mut http = transport
            .request(request.method.clone(), url)
            .header("X-Auth-Token", token.secret.clone())
            .header("OpenStack-API-Version", format!("compute {version}"));
        if let Some(body) = &request.body {
            http = http.json(body);
        }
        transport.send(http, limit.min(Instant::now() + request.limit)).await
    }
}

/// Nova repeats the version it was asked with in all its own answers. Without that, somebody else answered.
pub(super) fn echo(answered: &Answered, sent: Microversion) -> Result<(), String> {
    let expected = format!("compute {sent}");
    match answered.header("OpenStack-API-Version") {
        Some(got) if got.trim().eq_ignore_ascii_case(&expected) => Ok(()),
        Some(got) => Err(format!("answered with version `{}`, not `{expected}`", clip(got))),
        None => Err(format!("status {} without OpenStack-API-Version", answered.status)),
    }
}

fn judge(answered: Answered, sent: Microversion) -> Result<Option<Vec<u8>>, ReadFailure> {
    let said = refusal::message(&answered);
    let status = answered.status;
    match status {
        500.. => {
            let said = said.unwrap_or_default();
            return Err(ReadFailure::Unavailable(format!("status {status} {said}")));
        }
        413 | 429 => return Err(ReadFailure::Unavailable(format!("status {status}"))),
        401 => {
            return Err(ReadFailure::NoRight(
                "401 with a fresh token: the call is outside the credential's rights".to_string(),
            ));
        }
        _ => {}
    }
    echo(&answered, sent).map_err(ReadFailure::NotNova)?;
    match (status, said) {
        (200, _) => Ok(Some(answered.body)),
        (404, Some(_)) => Ok(None),
        (403, Some(said)) => Err(ReadFailure::NoRight(said)),
        (_, Some(said)) => Err(ReadFailure::NotNova(format!("status {status} {said}"))),
        (_, None) => Err(ReadFailure::NotNova(format!("status {status} without Nova's error"))),
    }
}

pub(super) fn not_ready(error: SetupError) -> ReadFailure {
    let text = error.to_string();
    match error {
        SetupError::Credential { .. } => ReadFailure::NoRight(text),
        SetupError::KeystoneUnreachable { .. }
        | SetupError::NovaUnreachable { .. }
        | SetupError::Untrusted { .. } => ReadFailure::Unavailable(text),
        SetupError::Settings(_)
        | SetupError::File { .. }
        | SetupError::CloudsYaml { .. }
        | SetupError::CaFile { .. }
        | SetupError::Tls(_)
        | SetupError::NotKeystone { .. }
        | SetupError::NoCatalog
        | SetupError::NoEndpoint { .. }
        | SetupError::ManyEndpoints { .. }
        | SetupError::Endpoint { .. }
        | SetupError::NotNova { .. }
        | SetupError::TooOld { .. } => ReadFailure::NotNova(text),
    }
}
