//! Microversions: which one a call is sent with, and what the server can do.

use std::fmt;

use serde::Deserialize;
use tokio::time::Instant;

use super::error::SetupError;
use super::transport::{Failure, Transport};
use crate::nova::call::Call;

/// A compute microversion, 2.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(u16);

impl Microversion {
    /// 2.`minor`.
    pub const fn new(minor: u16) -> Microversion {
        Microversion(minor)
    }

    fn parse(text: &str) -> Option<Microversion> {
        text.strip_prefix("2.")?.parse().ok().map(Microversion)
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

/// The highest of the floors below: an older Nova cannot answer all that we must ask.
pub(super) const OLDEST: Microversion = Microversion(69);

/// The version a call is written for, and the oldest that still means the same.
struct Pin {
    want: u16,
    floor: u16,
}

fn pin(call: &Call) -> Pin {
    match call {
        // 2.53 UUID ids and one PUT; 2.69 stubs for down cells.
        Call::Service { .. }
        | Call::Services
        | Call::ForceDown { .. }
        | Call::Disable { .. }
        | Call::ClearForcedDown { .. }
        | Call::Enable { .. } => Pin { want: 69, floor: 53 },
        Call::ServersOn { .. } | Call::Server { .. } => Pin { want: 90, floor: 69 },
        // 2.68 drops `force`; from 2.95 the server would be left stopped.
        Call::Evacuate { .. } => Pin { want: 90, floor: 68 },
        Call::LiveMigrate { .. } => Pin { want: 68, floor: 68 },
        Call::Stop { .. } | Call::Reboot { .. } => Pin { want: 90, floor: 53 },
        // 2.59 uuid and paging; 2.80 user and project.
        Call::MigrationsFrom { .. } => Pin { want: 80, floor: 59 },
        Call::Actions { .. } => Pin { want: 84, floor: 51 },
        // From 2.88 the room of hosts is left out.
        Call::Hypervisors => Pin { want: 87, floor: 53 },
        Call::Aggregates => Pin { want: 87, floor: 53 },
        // 2.64 `policy` in place of `policies`.
        Call::Groups => Pin { want: 64, floor: 64 },
        // Glance's; it is sent without one.
        Call::Images { .. } => Pin { want: 53, floor: 53 },
    }
}

/// The version to send `call` with to a server that knows up to `newest`; `None` if that is too old.
pub(super) fn choose(call: &Call, newest: Microversion) -> Option<Microversion> {
    let pin = pin(call);
    let version = Microversion(pin.want.min(newest.0));
    (version.0 >= pin.floor).then_some(version)
}

#[derive(Deserialize)]
struct Document {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    id: String,
    version: String,
}

/// Reads `{endpoint}/`, which needs no token.
pub(super) async fn discover(
    transport: &Transport,
    endpoint: &reqwest::Url,
    limit: Instant,
) -> Result<Microversion, SetupError> {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/", endpoint.path()));
    let address = url.to_string();
    let answered = transport.send(transport.request(reqwest::Method::GET, url), limit).await;
    let answered = answered.map_err(|failure| match failure {
        Failure::Untrusted(problem) => SetupError::Untrusted { url: address.clone(), problem },
        Failure::NotSent(problem) | Failure::Lost(problem) => {
            SetupError::NovaUnreachable { url: address.clone(), problem }
        }
    })?;
    match answered.status {
        200 => {}
        status @ 500.. => {
            let problem = format!("status {status}");
            return Err(SetupError::NovaUnreachable { url: address, problem });
        }
        status => {
            return Err(SetupError::NotNova { url: address, problem: format!("status {status}") });
        }
    }
    let not_nova =
        |problem: &str| SetupError::NotNova { url: address.clone(), problem: problem.to_string() };
    let document: Document =
        serde_json::from_slice(&answered.body).map_err(|_| not_nova("no `version` object"))?;
    if document.version.id != "v2.1" {
        return Err(not_nova("its `id` is not v2.1"));
    }
    Microversion::parse(&document.version.version).ok_or_else(|| not_nova("no microversion 2.x"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_call_goes_with_its_pin_or_less_and_never_below_its_floor() {
        let evacuate = Call::Evacuate { server: Uuid::nil(), destination: None };
        let at = |call: &Call, newest| choose(call, Microversion(newest)).map(|v| v.to_string());
        assert_eq!(at(&evacuate, 104).as_deref(), Some("2.90"));
        assert_eq!(at(&evacuate, 79).as_deref(), Some("2.79"));
        assert_eq!(at(&evacuate, 67), None);
        assert_eq!(at(&Call::Services, 104).as_deref(), Some("2.69"));
        assert_eq!(at(&Call::Services, 53).as_deref(), Some("2.53"));
        assert_eq!(at(&Call::Actions { server: Uuid::nil() }, 100).as_deref(), Some("2.84"));
    }
}
