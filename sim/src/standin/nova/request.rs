//! What can be asked of the stand-in, over HTTP or directly.

use std::collections::BTreeSet;
use std::time::Duration;

use controller::nova::call::{
    ActionRecord, Call, MigrationKind, MigrationRecord, ServerRecord, ServiceRecord,
};
use controller::nova::{AggregateRecord, GroupRecord, HypervisorRecord};
use uuid::Uuid;

use super::Flavor;

/// A request to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// nova-compute services, of one host or of all.
    Services(Option<String>),
    /// Changes a service.
    Update(Uuid, ServiceUpdate),
    /// Servers of one host or of all.
    Servers(Option<String>),
    /// One server.
    Server(Uuid),
    /// Evacuates.
    Evacuate {
        /// The server.
        server: Uuid,
        /// Named destination.
        destination: Option<String>,
        /// Leave it shut off, as microversions from 2.95 do.
        leave_off: bool,
    },
    /// Live-migrates to where the scheduler likes.
    LiveMigrate(Uuid),
    /// Shuts down.
    Stop(Uuid),
    /// Destroys its guest, if there is one, and starts it on the host that it has.
    Reboot(Uuid),
    /// Migration records, newest first.
    Migrations {
        /// Of this source host.
        source: Option<String>,
        /// Of this server.
        server: Option<Uuid>,
        /// Of this kind.
        kind: Option<MigrationKind>,
        /// In this state, in Nova's word.
        status: Option<String>,
    },
    /// Actions of a server, newest first.
    Actions(Uuid),
    /// Room of all hosts.
    Hypervisors,
    /// All aggregates.
    Aggregates,
    /// All server groups.
    Groups,
    /// Images with a tag; Glance serves it.
    Images {
        /// The tag.
        tag: String,
    },
    /// Boots a server.
    Boot {
        /// Its name.
        name: String,
        /// Its size.
        flavor: Flavor,
        /// Where it must go.
        host: Option<String>,
    },
    /// Deletes a server.
    Delete(Uuid),
}

/// Fields of a PUT on os-services; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceUpdate {
    /// `forced_down`.
    pub forced_down: Option<bool>,
    /// `status == "enabled"`.
    pub enabled: Option<bool>,
    /// `disabled_reason`.
    pub disabled_reason: Option<String>,
}

impl Request {
    pub(super) fn writes(&self) -> bool {
        match self {
            Request::Update(..)
            | Request::Evacuate { .. }
            | Request::LiveMigrate(_)
            | Request::Stop(_)
            | Request::Reboot(_)
            | Request::Boot { .. }
            | Request::Delete(_) => true,
            Request::Services(_)
            | Request::Servers(_)
            | Request::Server(_)
            | Request::Migrations { .. }
            | Request::Hypervisors
            | Request::Aggregates
            | Request::Groups
            | Request::Images { .. }
            | Request::Actions(_) => false,
        }
    }

    /// The request that the controller's client sends for `call`.
    pub fn of(call: &Call) -> Request {
        let update = |service: &Uuid, forced_down, enabled, reason: Option<&String>| {
            let disabled_reason = reason.cloned();
            Request::Update(*service, ServiceUpdate { forced_down, enabled, disabled_reason })
        };
        match call {
            Call::Service { host } => Request::Services(Some(host.clone())),
            Call::Services => Request::Services(None),
            Call::ForceDown { service, disable } => {
                update(service, Some(true), disable.as_ref().map(|_| false), disable.as_ref())
            }
            Call::Disable { service, reason } => update(service, None, Some(false), Some(reason)),
            Call::ClearForcedDown { service } => update(service, Some(false), None, None),
            Call::Enable { service } => update(service, None, Some(true), None),
            Call::ServersOn { host } => Request::Servers(Some(host.clone())),
            Call::Server { server } => Request::Server(*server),
            Call::Evacuate { server, destination } => Request::Evacuate {
                server: *server,
                destination: destination.clone(),
                leave_off: false,
            },
            Call::LiveMigrate { server } => Request::LiveMigrate(*server),
            Call::Stop { server } => Request::Stop(*server),
            Call::Reboot { server } => Request::Reboot(*server),
            Call::MigrationsFrom { host, kind } => Request::Migrations {
                source: Some(host.clone()),
                server: None,
                kind: Some(*kind),
                status: None,
            },
            Call::Actions { server } => Request::Actions(*server),
            Call::Hypervisors => Request::Hypervisors,
            Call::Aggregates => Request::Aggregates,
            Call::Groups => Request::Groups,
            Call::Images { label } => Request::Images { tag: label.clone() },
        }
    }
}

/// What a request gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Services.
    Services(Vec<ServiceRecord>),
    /// The service after a PUT.
    Service(ServiceRecord),
    /// Servers.
    Servers(Vec<ServerRecord>),
    /// One server.
    Server(ServerRecord),
    /// Migration records with their kind.
    Migrations(Vec<(MigrationRecord, MigrationKind)>),
    /// Actions.
    Actions(Vec<ActionRecord>),
    /// Room of all hosts.
    Hypervisors(Vec<HypervisorRecord>),
    /// Aggregates.
    Aggregates(Vec<AggregateRecord>),
    /// Server groups.
    Groups(Vec<GroupRecord>),
    /// Ids of images.
    Images(BTreeSet<String>),
    /// An action was taken on; no body.
    Accepted {
        /// It is an evacuation, which answers 200; others answer 202.
        queued: bool,
    },
    /// The id of a server that is being booted.
    Booted(Uuid),
    /// Deleted.
    Deleted,
}

/// An error answer of Nova.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    /// Nova's message.
    pub message: String,
}

impl Fault {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Fault {
        Fault { status, message: message.into() }
    }

    pub(super) fn no_server(id: Uuid) -> Fault {
        Fault::new(404, format!("Instance {id} could not be found."))
    }
}

/// A request that was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `None`: the reply is lost, the caller waits until its own deadline.
    pub result: Option<Result<Done, Fault>>,
    /// How long the answer takes.
    pub after: Duration,
    /// `X-Openstack-Request-Id`.
    pub request_id: String,
}
