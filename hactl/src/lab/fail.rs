//! The faults that a lab knows, and what must come of each.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fail {
    /// The node's power cable is pulled; its BMC answers.
    Power,
    /// The node loses its storage network.
    Storage,
    /// The node loses its tenant network.
    Tenant,
    /// The node loses its management network.
    Management,
    /// The node's agent is killed; the node is well.
    Agent,
    /// The node's power feed fails, and its BMC is silent.
    BmcAndPower,
    /// Nothing, to look around; useful with --keep.
    None,
}

/// How a fault must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The node is fenced and its VMs run elsewhere, on this evidence or any.
    Evacuated(Option<&'static str>),
    /// Its VMs run elsewhere, nothing is fenced.
    Migrated,
    /// An incident that notifies, and nothing is touched.
    Notified,
    /// Nothing at all.
    Untouched,
}

impl Fail {
    /// How it must end.
    pub(super) fn goal(self) -> Goal {
        match self {
            Fail::Power | Fail::Storage => Goal::Evacuated(None),
            Fail::BmcAndPower => Goal::Evacuated(Some("E2")),
            Fail::Tenant => Goal::Migrated,
            Fail::Management => Goal::Notified,
            Fail::Agent | Fail::None => Goal::Untouched,
        }
    }

    /// Time in which it must have come to that end.
    pub(super) fn deadline(self) -> Duration {
        match self {
            Fail::BmcAndPower => Duration::from_secs(150),
            Fail::Power | Fail::Storage | Fail::Tenant | Fail::Management => {
                Duration::from_secs(75)
            }
            Fail::Agent | Fail::None => Duration::from_secs(30),
        }
    }

    /// How long everything is watched after that end: what must not happen has this long to happen.
    pub(super) fn watched(self) -> Duration {
        match self {
            Fail::Agent => Duration::from_secs(15),
            Fail::Management => Duration::from_secs(5),
            Fail::Power | Fail::Storage | Fail::Tenant | Fail::BmcAndPower => {
                Duration::from_secs(2)
            }
            Fail::None => Duration::ZERO,
        }
    }

    /// The network whose cable is cut, by its place.
    pub(super) fn network(self) -> Option<usize> {
        match self {
            Fail::Management => Some(0),
            Fail::Storage => Some(1),
            Fail::Tenant => Some(2),
            Fail::Power | Fail::Agent | Fail::BmcAndPower | Fail::None => None,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fail::Power => "power",
            Fail::Storage => "storage",
            Fail::Tenant => "tenant",
            Fail::Management => "management",
            Fail::Agent => "agent",
            Fail::BmcAndPower => "bmc-and-power",
            Fail::None => "none",
        })
    }
}

/// The moment of a recovery at which the leading controller is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// The intent to fence is committed.
    Intent,
    /// The node's BMC was told to switch off.
    Off,
    /// The evidence is committed.
    Fenced,
    /// Nova's service is forced down.
    ForcedDown,
    /// The first evacuation was asked of Nova.
    Evacuating,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Intent => "intent",
            Moment::Off => "off",
            Moment::Fenced => "fenced",
            Moment::ForcedDown => "forced-down",
            Moment::Evacuating => "evacuating",
        })
    }
}
