//! What the controller asks of Nova, and what an answer means.
//!
//! The core emits a [`Call`]; the shell (`client`) carries it out and hands the [`Reply`] back. A read either
//! succeeded or failed. A write has one of four ends, and [`Written::Unknown`] is one of them: nothing in this
//! program may turn it into a second write.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::room::{AggregateRecord, GroupRecord, HypervisorRecord, Labels};

/// A request to Nova, one HTTP exchange (or one paged list) each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Reads the nova-compute service of a host: `GET /os-services?binary=nova-compute&host=H`.
    Service {
        /// Service host, Nova's exact name.
        host: String,
    },
    /// Reads every nova-compute service of the cloud, to choose destinations.
    Services,
    /// Sets `forced_down: true` and, unless somebody disabled it before, `status: disabled` with our reason, in one
    /// PUT (disabling alone blocks while Nova believes the host to be up). Repeating it is harmless.
    ForceDown {
        /// Id of the service record.
        service: Uuid,
        /// Reason to record; `None` leaves `status` as it is, because an operator's own reason must survive.
        disable: Option<String>,
    },
    /// Sets `status: disabled` with our reason and nothing else; for migrate and disable rows.
    Disable {
        /// Id of the service record.
        service: Uuid,
        /// 1 to 255 characters; begins with [`OUR_REASON`].
        reason: String,
    },
    /// Clears `forced_down`. Nova refuses it while an evacuation of this source is `done` and not cleaned up.
    ClearForcedDown {
        /// Id of the service record.
        service: Uuid,
    },
    /// Sets `status: enabled`.
    Enable {
        /// Id of the service record.
        service: Uuid,
    },
    /// Lists the servers of a host with paging, filtered again by us.
    ServersOn {
        /// Service host.
        host: String,
    },
    /// Reads one server.
    Server {
        /// The server.
        server: Uuid,
    },
    /// Reads how much room every host has.
    Hypervisors,
    /// Reads the aggregates.
    Aggregates,
    /// Reads the server groups of all projects.
    Groups,
    /// Asks Glance, not Nova, which images carry a label.
    Images {
        /// A tag of the image, or a property of it that is true.
        label: String,
    },
    /// `POST /servers/{id}/action {"evacuate": {...}}`. Never repeated by the client.
    Evacuate {
        /// The server.
        server: Uuid,
        /// Destination host to name, or the scheduler's choice.
        destination: Option<String>,
    },
    /// `POST /servers/{id}/action {"os-migrateLive": {...}}`.
    LiveMigrate {
        /// The server.
        server: Uuid,
    },
    /// `POST /servers/{id}/action {"os-stop": null}`.
    Stop {
        /// The server.
        server: Uuid,
    },
    /// `POST /servers/{id}/action {"reboot": {"type": "HARD"}}`. Never repeated by the client.
    Reboot {
        /// The server.
        server: Uuid,
    },
    /// Lists migration records by source host, newest first.
    MigrationsFrom {
        /// Source service host.
        host: String,
        /// Which kind.
        kind: MigrationKind,
    },
    /// Lists a server's instance actions, newest first.
    Actions {
        /// The server.
        server: Uuid,
    },
}

/// Every `disabled_reason` of ours begins with this; any other reason is an operator's and is never undone.
pub const OUR_REASON: &str = "holdfast";

impl Call {
    /// Whether the call changes something, so that its outcome may be [`Written::Unknown`].
    pub fn writes(&self) -> bool {
        match self {
            Call::ForceDown { .. }
            | Call::Disable { .. }
            | Call::ClearForcedDown { .. }
            | Call::Enable { .. }
            | Call::Evacuate { .. }
            | Call::LiveMigrate { .. }
            | Call::Stop { .. }
            | Call::Reboot { .. } => true,
            Call::Service { .. }
            | Call::Services
            | Call::ServersOn { .. }
            | Call::Server { .. }
            | Call::MigrationsFrom { .. }
            | Call::Hypervisors
            | Call::Aggregates
            | Call::Groups
            | Call::Images { .. }
            | Call::Actions { .. } => false,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Service { host } => write!(f, "read service of {host}"),
            Call::Services => write!(f, "read all services"),
            Call::Hypervisors => write!(f, "read all hypervisors"),
            Call::Aggregates => write!(f, "read the aggregates"),
            Call::Groups => write!(f, "read the server groups"),
            Call::Images { label } => write!(f, "list images labelled {label}"),
            Call::ForceDown { service, disable } => {
                let also = if disable.is_some() { " and disable" } else { "" };
                write!(f, "force down{also} {service}")
            }
            Call::Disable { service, .. } => write!(f, "disable {service}"),
            Call::ClearForcedDown { service } => write!(f, "clear forced_down of {service}"),
            Call::Enable { service } => write!(f, "enable {service}"),
            Call::ServersOn { host } => write!(f, "list servers on {host}"),
            Call::Server { server } => write!(f, "read server {server}"),
            Call::Evacuate { server, destination } => match destination {
                Some(host) => write!(f, "evacuate {server} to {host}"),
                None => write!(f, "evacuate {server}"),
            },
            Call::LiveMigrate { server } => write!(f, "live-migrate {server}"),
            Call::Stop { server } => write!(f, "stop {server}"),
            Call::Reboot { server } => write!(f, "hard-reboot {server}"),
            Call::MigrationsFrom { host, kind } => write!(f, "list {kind} records from {host}"),
            Call::Actions { server } => write!(f, "list actions of {server}"),
        }
    }
}

/// Kinds of migration record that we follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MigrationKind {
    /// `migration_type=evacuation`.
    Evacuation,
    /// `migration_type=live-migration`.
    LiveMigration,
}

impl fmt::Display for MigrationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MigrationKind::Evacuation => "evacuation",
            MigrationKind::LiveMigration => "live-migration",
        })
    }
}

/// What came of a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A service's record, or `None` where Nova knows no such host.
    Service(Option<ServiceRecord>),
    /// All nova-compute services.
    Services(Vec<ServiceRecord>),
    /// Servers of the host that was asked for, complete (no page follows).
    Servers(Vec<ServerRecord>),
    /// One server; `None` when it is gone (404).
    Server(Option<ServerRecord>),
    /// Migration records, newest first, complete.
    Migrations(Vec<MigrationRecord>),
    /// Instance actions, newest first.
    Actions(Vec<ActionRecord>),
    /// Room of all hosts.
    Hypervisors(Vec<HypervisorRecord>),
    /// All aggregates.
    Aggregates(Vec<AggregateRecord>),
    /// All server groups.
    Groups(Vec<GroupRecord>),
    /// Ids of the images that carry the label, complete.
    Images(BTreeSet<String>),
    /// How a write ended.
    Written(Written),
    /// A read failed. Nothing may be concluded.
    ReadFailed(ReadFailure),
}

/// The four ends of a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Written {
    /// Nova accepted it (for evacuate: queued, not done).
    Done {
        /// `X-Openstack-Request-Id`, the only link from our POST to what happened.
        request_id: String,
        /// The service record that a PUT on os-services answers.
        service: Option<ServiceRecord>,
    },
    /// Nova refused it and nothing changed.
    Refused(Refused),
    /// It never left this machine (connection refused, DNS or TLS failure before the first byte).
    NotSent(String),
    /// It may or may not have happened: timeout or reset after the first byte, 5xx, a reply that is not Nova's.
    Unknown(String),
}

/// A refusal without effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// Nova's message, at most 300 characters.
    pub message: String,
    /// What it means for us.
    pub meaning: Refusal,
}

/// The refusals of `nova-contract` that we tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// "Compute service of X is still in use.": the source counts as up.
    SourceStillUp,
    /// "The target host can't be the same one."
    SameHost,
    /// "Unable to force up host ...": `done` evacuations are left.
    DoneEvacuationsLeft,
    /// vm_state does not allow it now (409).
    WrongState,
    /// 404: the server is gone, or invisible to this credential.
    ServerGone,
    /// 404: no such destination or service.
    HostUnknown,
    /// 401 twice, or 403: a right is missing.
    NoRight,
    /// 401 once: the token had expired or was revoked. A new one has been fetched; read back, then repeat under the
    /// same intent.
    TokenExpired,
    /// 429 or 413: later.
    TooMany,
    /// 406, or 400 about the input: our request does not fit this Nova.
    OurRequest,
    /// Any other refusal.
    Other,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadFailure {
    /// Keystone or Nova did not answer in time, or answered 5xx.
    Unavailable(String),
    /// 401 twice or 403: a right is missing.
    NoRight(String),
    /// The answer is not Nova's, or lacks fields (a missing host attribute means missing rights).
    NotNova(String),
}

impl ReadFailure {
    /// What was said, without whose it is.
    pub fn why(&self) -> &str {
        match self {
            ReadFailure::Unavailable(why)
            | ReadFailure::NoRight(why)
            | ReadFailure::NotNova(why) => why,
        }
    }
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadFailure::Unavailable(why) => write!(f, "Nova or Keystone is unavailable: {why}"),
            ReadFailure::NoRight(why) => write!(f, "a right is missing: {why}"),
            ReadFailure::NotNova(why) => write!(f, "not an answer of Nova's: {why}"),
        }
    }
}

/// A nova-compute service record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Record id (UUID since microversion 2.53).
    pub id: Uuid,
    /// Service host.
    pub host: String,
    /// `state == "up"`.
    pub up: bool,
    /// `status == "enabled"`.
    pub enabled: bool,
    /// Reason of a disable.
    pub disabled_reason: Option<String>,
    /// Nova's flag.
    pub forced_down: bool,
}

impl ServiceRecord {
    /// Whether somebody else disabled it, which we never undo.
    pub fn disabled_by_operator(&self) -> bool {
        !self.enabled && !self.disabled_reason.as_deref().unwrap_or("").starts_with(OUR_REASON)
    }
}

/// A server, as far as we look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its id.
    pub id: Uuid,
    /// Its name, for people.
    pub name: String,
    /// `OS-EXT-SRV-ATTR:host`: the service host that Nova places it on.
    pub host: Option<String>,
    /// `OS-EXT-STS:vm_state`.
    pub vm_state: String,
    /// `OS-EXT-STS:task_state`.
    pub task_state: Option<String>,
    /// `status`.
    pub status: String,
    /// `OS-EXT-STS:power_state`: 1 running, 4 shut down.
    pub power_state: u8,
    /// Fault message when in ERROR.
    pub fault: Option<String>,
    /// What it is, beside its states.
    pub labels: Box<Labels>,
}

/// A migration record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// Record id; order records by it, never by time.
    pub id: u64,
    /// Its UUID.
    pub uuid: Uuid,
    /// The server.
    pub server: Uuid,
    /// Source service host.
    pub source: String,
    /// Destination: the requested host, or where it was claimed.
    pub destination: Option<String>,
    /// State.
    pub status: MigrationStatus,
}

/// States of a migration record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MigrationStatus {
    /// Queued by the API.
    Accepted,
    /// Being prepared.
    Preparing,
    /// Claimed at the destination.
    PreMigrating,
    /// Under way (live migration).
    Running,
    /// Evacuated, the source has not cleaned up yet.
    Done,
    /// The source cleaned up, or a live migration ended well. For an evacuation no proof of success.
    Completed,
    /// Not scheduled: no compute was contacted.
    Error,
    /// The destination failed; a guest may be left there.
    Failed,
    /// Aborted.
    Cancelled,
    /// A state that we do not know.
    Other(String),
}

/// An instance action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// `evacuate`, `live-migration`, ...
    pub action: String,
    /// The request that caused it.
    pub request_id: String,
    /// `Error` when it failed.
    pub message: Option<String>,
}
