//! Where a Redfish service is, whom we believe it to be, and how to log in to it.

use std::net::SocketAddr;

use super::Trust;
use crate::bmc::{Identity, Secret};

/// How a question is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogIn {
    /// Name and password with each request. Leaves nothing behind on the BMC.
    #[default]
    Basic,
    /// A session for each question, deleted after it. For BMCs that refuse the other; one whose end
    /// is lost takes one of the BMC's few places until the BMC's own time-out.
    Session,
}

/// One system behind one Redfish service.
#[derive(Clone, Debug)]
pub struct RedfishTarget {
    /// Its address; HTTPS is TCP port 443.
    pub addr: SocketAddr,
    /// The name in its certificate, where that is not the address. It is never looked up.
    pub name: Option<String>,
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// How to log in.
    pub log_in: LogIn,
    /// Whose certificate is believed.
    pub trust: Trust,
    /// Path of the system, such as `/redfish/v1/Systems/1`. `None`: the only one that there is.
    pub system: Option<String>,
    /// UUID that the system must have, beside the enrolled identity.
    pub uuid: Option<Identity>,
    /// Serial number that the system must have, beside the enrolled identity.
    pub serial: Option<String>,
}

impl RedfishTarget {
    /// A path that may stand in [`RedfishTarget::system`]; `None`: nothing would be asked there.
    pub fn system_path(text: &str) -> Option<String> {
        super::resource::path(text)
    }
}
