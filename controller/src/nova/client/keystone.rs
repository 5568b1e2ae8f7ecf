//! Tokens: asked for with a password or an application credential, renewed at 80 % of their life by our own
//! monotonic clock, thrown away on 401.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::catalog;
use super::error::SetupError;
use super::settings::{Credential, Reference, Settings};
use super::transport::{Answered, Failure, READ_LIMIT, Transport, clip};

/// After a refused credential: accounts may lock, so nobody tries again before.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// After a failed renewal while the old token still lives.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// A token with less than this left is not used any more.
const LAST_USE: Duration = Duration::from_secs(30);
/// No deployment has longer ones; a wild date must not mean "for ever".
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A token and the endpoints that its catalog names.
pub(super) struct Token {
    pub(super) secret: HeaderValue,
    pub(super) endpoint: Url,
    /// Glance's endpoint, or why there is none that can be used: nothing but labels of images rests on it.
    pub(super) images: Result<Url, String>,
    pub(super) lifetime: Duration,
    /// Number of the token in this process, to tell whether a 401 was for this one.
    pub(super) generation: u64,
    asked: Instant,
}

impl Token {
    fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

pub(super) struct TokenStore {
    settings: Settings,
    address: Url,
    current: Option<Arc<Token>>,
    generation: u64,
    refused_at: Option<Instant>,
    renewal_failed_at: Option<Instant>,
    /// Generation of the token with which a write got a 401, if none has succeeded since.
    write_refused: Option<u64>,
}

impl TokenStore {
    pub(super) fn new(settings: Settings) -> Result<TokenStore, SetupError> {
        Ok(TokenStore {
            address: address(&settings.auth_url)?,
            settings,
            current: None,
            generation: 0,
            refused_at: None,
            renewal_failed_at: None,
            write_refused: None,
        })
    }

    /// A token that lives, from memory or from Keystone.
    pub(super) async fn token(
        &mut self,
        transport: &Transport,
        limit: Instant,
    ) -> Result<Arc<Token>, SetupError> {
        let old = self.current.clone().filter(|token| token.age() + LAST_USE < token.lifetime);
        if let Some(old) = &old {
            let young = old.age() < old.lifetime.mul_f64(0.8);
            let failed = self.renewal_failed_at.is_some_and(|at| at.elapsed() < RENEWAL_PAUSE);
            if young || failed {
                return Ok(old.clone());
            }
        }
        match self.ask(transport, limit.min(Instant::now() + READ_LIMIT)).await {
            Ok(token) => Ok(token),
            Err(error) => match old {
                Some(old) => {
                    tracing::warn!(%error, "the Nova token cannot be renewed; using the old one");
                    self.renewal_failed_at = Some(Instant::now());
                    Ok(old)
                }
                None => Err(error),
            },
        }
    }

    /// Nova answered 401 to this token: the next call gets another.
    pub(super) fn refused(&mut self, token: &Token) {
        if self.current.as_ref().is_some_and(|current| current.generation == token.generation) {
            self.current = None;
        }
    }

    /// A write with this token got 401. True if an older token's write got one too and none has succeeded since:
    /// then it is not the token, it is the rights.
    pub(super) fn write_refused(&mut self, token: &Token) -> bool {
        self.refused(token);
        let again = self.write_refused.is_some_and(|earlier| earlier < token.generation);
        self.write_refused.get_or_insert(token.generation);
        again
    }

    /// A write with a token passed Nova's door.
    pub(super) fn write_admitted(&mut self) {
        self.write_refused = None;
    }

    async fn ask(
        &mut self,
        transport: &Transport,
        limit: Instant,
    ) -> Result<Arc<Token>, SetupError> {
        if self.refused_at.is_some_and(|at| at.elapsed() < REFUSED_PAUSE) {
            return Err(self.bad_credential());
        }
        let asked = Instant::now();
        let body = body(&self.settings.credential);
        let request = transport.request(reqwest::Method::POST, self.address.clone()).json(&body);
        let answered = transport.send(request, limit).await;
        let answered = answered.map_err(|failure| self.no_answer(failure))?;
        match answered.status {
            201 => {}
            401 => {
                self.refused_at = Some(Instant::now());
                return Err(self.bad_credential());
            }
            status @ (429 | 500..) => {
                return Err(SetupError::KeystoneUnreachable {
                    url: self.address.to_string(),
                    problem: format!("status {status}"),
                });
            }
            status => return Err(self.not_keystone(format!("status {status}"))),
        }
        let token = Arc::new(self.parse(&answered, asked)?);
        self.generation = token.generation;
        self.refused_at = None;
        self.renewal_failed_at = None;
        self.current = Some(token.clone());
        Ok(token)
    }

    fn parse(&self, answered: &Answered, asked: Instant) -> Result<Token, SetupError> {
        let secret = answered.headers.get("X-Subject-Token");
        let secret = secret.ok_or_else(|| self.not_keystone("no X-Subject-Token".to_string()))?;
        let mut secret = secret.clone();
        secret.set_sensitive(true);
        let body: Body = serde_json::from_slice(&answered.body)
            .map_err(|error| self.not_keystone(clip(&error.to_string())))?;
        let lifetime = lifetime(&body.token.issued_at, &body.token.expires_at)
            .ok_or_else(|| self.not_keystone("issued_at and expires_at give no lifetime".into()))?;
        let (catalog, generation) = (&body.token.catalog, self.generation + 1);
        let endpoint = catalog::compute(catalog, &self.settings)?;
        let images = catalog::images(catalog, &self.settings).map_err(|error| error.to_string());
        Ok(Token { secret, endpoint, images, lifetime, generation, asked })
    }

    fn bad_credential(&self) -> SetupError {
        SetupError::Credential { what: self.settings.credential.describe() }
    }

    fn not_keystone(&self, problem: String) -> SetupError {
        SetupError::NotKeystone { url: self.address.to_string(), problem }
    }

    fn no_answer(&self, failure: Failure) -> SetupError {
        let url = self.address.to_string();
        match failure {
            Failure::Untrusted(problem) => SetupError::Untrusted { url, problem },
            Failure::NotSent(problem) | Failure::Lost(problem) => {
                SetupError::KeystoneUnreachable { url, problem }
            }
        }
    }
}

#[derive(Deserialize)]
struct Body {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    expires_at: String,
    issued_at: String,
    #[serde(default)]
    catalog: Vec<catalog::Entry>,
}

fn address(auth_url: &str) -> Result<Url, SetupError> {
    let wrong = |problem: &str| {
        SetupError::Settings(format!(
            "auth_url `{}` {problem}; write for example https://keystone.example:5000/v3",
            clip(auth_url)
        ))
    };
    let mut url = Url::parse(auth_url).map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("carries a user or a query"));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/auth/tokens").unwrap_or(path);
    let path = path.strip_suffix("/v3").unwrap_or(path);
    if path.ends_with("/v2.0") {
        return Err(wrong("is Keystone's old v2.0"));
    }
    let path = format!("{path}/v3/auth/tokens");
    url.set_path(&path);
    Ok(url)
}

fn lifetime(issued_at: &str, expires_at: &str) -> Option<Duration> {
    let issued = humantime::parse_rfc3339(issued_at).ok()?;
    let expires = humantime::parse_rfc3339(expires_at).ok()?;
    let lifetime = expires.duration_since(issued).ok()?.min(MAX_LIFETIME);
    (lifetime > LAST_USE).then_some(lifetime)
}

fn body(credential: &Credential) -> Value {
    match credential {
        Credential::Password { user, user_domain, password, project, project_domain } => json!({
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": {
                    "name": user, "domain": by(user_domain), "password": password.reveal()}}},
                "scope": {"project": scope(project, project_domain)},
            }
        }),
        Credential::Application { id, secret } => json!({
            "auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"id": id, "secret": secret.reveal()}}}
        }),
    }
}

fn by(reference: &Reference) -> Value {
    match reference {
        Reference::Name(name) => json!({"name": name}),
        Reference::Id(id) => json!({"id": id}),
    }
}

fn scope(project: &Reference, domain: &Reference) -> Value {
    match project {
        Reference::Name(name) => json!({"name": name, "domain": by(domain)}),
        Reference::Id(id) => json!({"id": id}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nova::client::settings::Secret;

    #[test]
    fn an_auth_url_may_or_may_not_name_v3() {
        for text in ["http://k:5000", "http://k:5000/", "http://k:5000/v3", "http://k:5000/v3/"] {
            assert_eq!(address(text).unwrap().as_str(), "http://k:5000/v3/auth/tokens");
        }
        assert_eq!(address("https://k/identity/v3").unwrap().path(), "/identity/v3/auth/tokens");
        assert!(address("k:5000").is_err());
        assert!(address("http://k:5000/v2.0").unwrap_err().to_string().contains("old v2.0"));
    }

    #[test]
    fn an_application_credential_asks_for_no_scope_and_a_password_does() {
        let credential = Credential::Application { id: "a".into(), secret: Secret::new("b") };
        assert!(body(&credential)["auth"].get("scope").is_none());
        let credential = Credential::Password {
            user: "ha".into(),
            user_domain: Reference::Name("Default".into()),
            password: Secret::new("b"),
            project: Reference::Name("admin".into()),
            project_domain: Reference::Id("default".into()),
        };
        let body = body(&credential);
        assert_eq!(
            body["auth"]["scope"]["project"],
            json!({"name": "admin", "domain": {"id": "default"}})
        );
    }

    #[test]
    fn a_lifetime_is_a_difference_of_keystones_own_times() {
        let hour = lifetime("2026-11-21T20:35:10.000000Z", "2026-11-21T21:35:10.000000Z");
        assert_eq!(hour, Some(Duration::from_secs(3600)));
        assert_eq!(lifetime("2026-11-21T20:35:10.000000Z", "2026-11-21T20:35:10.000000Z"), None);
        assert_eq!(lifetime("yesterday", "2026-11-21T20:35:10.000000Z"), None);
    }
}
