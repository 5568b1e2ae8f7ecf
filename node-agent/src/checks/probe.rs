//! What a check looks at.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fencing::checks::State;

use crate::config::Virsh;

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A program with its arguments: exit code 0 is ok, 1 warning, 2 critical, anything else unknown.
    Script {
        /// An absolute path first. No shell is between.
        command: Vec<String>,
    },
    /// A page over plain HTTP.
    Http(Page),
    /// Whether something takes connections.
    Tcp {
        /// Where.
        address: SocketAddr,
    },
    /// How long a machine takes to answer a connection, or to refuse it.
    Ping {
        /// Where.
        address: SocketAddr,
        /// From here on it is a warning.
        warning: Duration,
        /// And from here on critical.
        critical: Duration,
    },
    /// Nothing is looked at: somebody pushes.
    Pushed,
    /// Whether a file can be written and synced here.
    Mount {
        /// A directory.
        path: PathBuf,
    },
    /// Lines of the kernel.
    KernelLog(Patterns),
    /// Whether a systemd unit is active.
    Unit {
        /// Its name.
        unit: String,
        /// The program that knows.
        systemctl: PathBuf,
    },
    /// Whether libvirt answers.
    Libvirt(Virsh),
    /// The hottest sensor.
    Temperature {
        /// Where the kernel shows its sensors.
        directory: PathBuf,
        /// Degrees Celsius.
        warning: i32,
        /// Degrees Celsius.
        critical: i32,
    },
    /// Fans that stand still, or say so.
    Fans {
        /// Where the kernel shows its sensors.
        directory: PathBuf,
    },
}

/// A page, and what makes it a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where.
    pub address: SocketAddr,
    /// What, from `/` on.
    pub path: String,
    /// Statuses that are well; empty: 200 to 399.
    pub status: Vec<u16>,
    /// Must be in what comes.
    pub contains: Option<String>,
}

/// What must not be in the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    /// The log.
    pub path: PathBuf,
    /// Any of these.
    pub patterns: Vec<String>,
    /// A line counts for so long.
    pub remember: Duration,
    /// What it counts as.
    pub state: State,
}
