//! Writes: sent at most once, and never more certain of their end than the answer allows.

use tokio::time::{Instant, timeout_at};

use super::Client;
use super::answer;
use super::keystone::Token;
use super::microversion::{self, Microversion};
use super::read::echo;
use super::refusal;
use super::request::Request;
use super::transport::{Answered, Failure, READ_LIMIT, clip};
use crate::nova::call::{Call, Refusal, Refused, Written};

impl Client {
    pub(super) async fn write(&self, call: &Call, limit: Instant) -> Written {
        let (token, newest) = match self.ready(limit).await {
            Ok(ready) => ready,
            Err(error) => return Written::NotSent(error.to_string()),
        };
        let Some(version) = microversion::choose(call, newest) else {
            let message = format!("this Nova speaks microversions only up to {newest}");
            return Written::Refused(Refused {
                status: 406,
                message,
                meaning: Refusal::OurRequest,
            });
        };
        match self.exchange(&Request::of(call), &token, version, limit).await {
            Ok(answered) => self.judge(call, &token, version, answered, limit).await,
            Err(Failure::NotSent(why) | Failure::Untrusted(why)) => Written::NotSent(why),
            Err(Failure::Lost(why)) => Written::Unknown(why),
        }
    }

    async fn judge(
        &self,
        call: &Call,
        token: &Token,
        sent: Microversion,
        answered: Answered,
        limit: Instant,
    ) -> Written {
        let status = answered.status;
        match status {
            401 => return self.no_token(&answered, token, limit).await,
            // No limiter is Nova's, so this one stands before it and the request went no further.
            413 | 429 => return refuse(call, status, "too many requests".to_string()),
            503 if refusal::keystone_is_away(&answered) => {
                return refuse(call, status, "Nova cannot reach Keystone".to_string());
            }
            500.. => {
                let said = refusal::message(&answered).unwrap_or_default();
                return Written::Unknown(format!("status {status} {said}"));
            }
            _ => {}
        }
        if let Err(why) = echo(&answered, sent) {
            return Written::Unknown(why);
        }
        self.shared.tokens.lock().await.write_admitted();
        if (200..300).contains(&status) {
            return done(call, &answered);
        }
        if status == 406 {
            // The next call shall know better; this one is refused as it is.
            let limit = limit.min(Instant::now() + READ_LIMIT);
            if let Err(error) = self.discover(&token.endpoint, limit).await {
                tracing::warn!(%error, "the server's microversions cannot be learnt again");
            }
        }
        match refusal::message(&answered) {
            Some(message) if (400..500).contains(&status) => refuse(call, status, message),
            Some(_) | None => Written::Unknown(format!("status {status} without Nova's error")),
        }
    }

    /// 401 comes from the middleware before Nova does anything. The first time the token may have been revoked, so a
    /// new one is fetched for the caller's next attempt; a second time the rights are missing.
    async fn no_token(&self, answered: &Answered, token: &Token, limit: Instant) -> Written {
        let Some(message) = refusal::message(answered) else {
            return Written::Unknown("status 401 that is not Keystone's".to_string());
        };
        let Ok(mut tokens) = timeout_at(limit, self.shared.tokens.lock()).await else {
            let meaning = Refusal::TokenExpired;
            return Written::Refused(Refused { status: 401, message, meaning });
        };
        if tokens.write_refused(token) {
            let meaning = Refusal::NoRight;
            return Written::Refused(Refused { status: 401, message, meaning });
        }
        if let Err(error) = tokens.token(&self.shared.transport, limit).await {
            tracing::warn!(%error, "no new Nova token after a 401");
        }
        Written::Refused(Refused { status: 401, message, meaning: Refusal::TokenExpired })
    }
}

fn refuse(call: &Call, status: u16, message: String) -> Written {
    Written::Refused(refusal::refused(call, status, message))
}

fn done(call: &Call, answered: &Answered) -> Written {
    let Some(request_id) = answered.header("X-OpenStack-Request-Id").map(clip) else {
        return Written::Unknown("a success without request id".to_string());
    };
    let wanted = match call {
        Call::ForceDown { service, .. }
        | Call::Disable { service, .. }
        | Call::ClearForcedDown { service }
        | Call::Enable { service } => *service,
        Call::Service { .. }
        | Call::Services
        | Call::ServersOn { .. }
        | Call::Server { .. }
        | Call::Evacuate { .. }
        | Call::LiveMigrate { .. }
        | Call::Stop { .. }
        | Call::Reboot { .. }
        | Call::MigrationsFrom { .. }
        | Call::Hypervisors
        | Call::Aggregates
        | Call::Groups
        | Call::Images { .. }
        | Call::Actions { .. } => return Written::Done { request_id, service: None },
    };
    match answer::written_service(&answered.body) {
        Ok(service) if service.id == wanted => Written::Done { request_id, service: Some(service) },
        Ok(_) => Written::Unknown("the record of another service".to_string()),
        Err(error) => Written::Unknown(format!("a success without the record: {error:?}")),
    }
}
