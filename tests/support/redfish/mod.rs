//! Parts for the tests of BMCs that speak Redfish: the emulator sushy-tools, and a stand-in of ours
//! that misbehaves. Both listen on 127.0.0.0/8 with certificates that were made for these tests
//! alone; they end when they are dropped.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod answers;
pub(crate) mod server;
pub(crate) mod sushy;

use std::net::SocketAddr;

use fencing::bmc::Secret;
use fencing::bmc::redfish::{LogIn, RedfishTarget, Trust};

/// The user that all of them have.
pub(crate) const USER: &str = "admin";
/// Its password.
pub(crate) const PASSWORD: &str = "secret";

/// The authority that signed [`GOOD`], for `bmc.test` and 127.0.0.1.
pub(crate) const AUTHORITY: &str = include_str!("tls/ca.pem");
/// The BMC's certificate and key.
pub(crate) const GOOD: Pair =
    Pair { certificate: include_str!("tls/bmc.pem"), key: include_str!("tls/bmc.key") };
/// Another one, for the same names, that nobody vouches for.
pub(crate) const OTHER: Pair =
    Pair { certificate: include_str!("tls/other.pem"), key: include_str!("tls/other.key") };

/// A certificate with its key, in PEM.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
}

/// A login for the service at this address, by the name in its certificate.
pub(crate) fn target(addr: SocketAddr) -> RedfishTarget {
    RedfishTarget {
        addr,
        name: Some("bmc.test".into()),
        user: USER.into(),
        password: Secret::new(PASSWORD.into()),
        log_in: LogIn::Basic,
        trust: Trust::authorities(AUTHORITY.as_bytes()).expect("an authority"),
        system: None,
        uuid: None,
        serial: None,
    }
}
