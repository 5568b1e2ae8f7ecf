//! Where a question can fail, and why.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Identity;
use super::agent::AgentFailure;
use super::proxy::ProxyFailure;
use super::redfish::RedfishFailure;

/// The steps of one question, in their order on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Get Channel Authentication Capabilities; only shows that something answers.
    Capabilities,
    /// RMCP+ Open Session.
    OpenSession,
    /// RAKP message 1, answered by 2.
    Rakp1,
    /// RAKP message 3, answered by 4.
    Rakp3,
    /// Set Session Privilege Level.
    SetPrivilege,
    /// Get System GUID.
    SystemGuid,
    /// Get Device GUID, if there is no system GUID.
    DeviceGuid,
    /// Chassis Control, power down.
    PowerOff,
    /// Get Chassis Status.
    Status,
    /// Close Session.
    CloseSession,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capabilities => "channel capabilities",
            Self::OpenSession => "open session",
            Self::Rakp1 => "RAKP 1",
            Self::Rakp3 => "RAKP 3",
            Self::SetPrivilege => "set session privilege",
            Self::SystemGuid => "system GUID",
            Self::DeviceGuid => "device GUID",
            Self::PowerOff => "power off",
            Self::Status => "chassis status",
            Self::CloseSession => "close session",
        })
    }
}

/// Why a question has no answer, and what an operator can do about it.
///
/// No failure is evidence of anything about the node: the caller knows as much as before, and after
/// an [`super::Ask::Off`] must assume that the command may have been executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Not one datagram came back. The node is as it was.
    #[error(
        "no answer at all: check the address, the route to the BMC network, and that IPMI over LAN \
         is enabled (udp 623)"
    )]
    NoAnswer,
    /// It answered earlier steps but not this one. Whether the step was executed is not known.
    #[error("answered, then fell silent at {0}: {hint}", hint = silence(*.0))]
    WentSilent(Step),
    /// The BMC and we do not share the password. The node is as it was.
    #[error(
        "wrong password (or a user the BMC hides): set the same password, at most 20 bytes, on both \
         sides"
    )]
    WrongPassword,
    /// The BMC says that there is no such user. The node is as it was.
    #[error("unknown user: create it on the BMC and enable it for this LAN channel")]
    UnknownUser,
    /// None of the configured suites is offered. The node is as it was.
    #[error(
        "the BMC refuses the configured cipher suites: enable suite 17 on it, or opt in to suite 3"
    )]
    CipherRefused,
    /// The BMC named another algorithm than the one asked for: broken, or someone in between. The
    /// node is as it was.
    #[error(
        "the BMC answered with another algorithm than asked: do not trust this path, update the BMC"
    )]
    OtherAlgorithm,
    /// The user may not do this. The node is as it was.
    #[error("the user lacks the privilege: give it OPERATOR on this LAN channel of the BMC")]
    NoPrivilege,
    /// All session slots of the BMC are taken. The node is as it was.
    #[error(
        "all session slots of the BMC are taken: end other IPMI sessions or wait until they expire"
    )]
    SlotsFull,
    /// The handshake was refused for a rarer reason. The node is as it was.
    #[error("{step} was refused with status {status:#04x}: see the BMC's log, restart the BMC")]
    HandshakeRefused {
        /// Which part.
        step: Step,
        /// RMCP+ status code (IPMI 2.0, table 13-15).
        status: u8,
    },
    /// A command was refused. A refused read says nothing about the node.
    #[error("{step} was refused with completion code {code:#04x}: see the BMC's log")]
    Refused {
        /// Which command.
        step: Step,
        /// Completion code (IPMI 2.0, table 5-2).
        code: u8,
    },
    /// Another machine's BMC answered, or one that no longer says who it is. Nothing was sent that
    /// changes its power.
    #[error(
        "wrong BMC: enrolled as {expected}, {}: check cabling and address, or enroll it again",
        .read.map_or("now it has no GUID".to_owned(), |read| format!("now it is {read}"))
    )]
    WrongIdentity {
        /// The enrolled one.
        expected: Identity,
        /// The one that was read.
        read: Option<Identity>,
    },
    /// What came back cannot be understood. Its content was not used.
    #[error("an answer that makes no sense ({0}): check that this is a BMC, update its firmware")]
    Malformed(Cow<'static, str>),
    /// The time ran out while the BMC was still answering. An off may have been executed.
    #[error("out of time while the BMC was still answering: it is slow or the network loses much")]
    Deadline,
    /// This machine could not send or receive. The node is as it was, unless later steps failed.
    #[error("local socket: {0}: check this machine's network")]
    Socket(String),
    /// The target's settings cannot work. Nothing was sent.
    #[error("unusable BMC settings: {0}")]
    Unusable(Cow<'static, str>),
    /// Over Redfish; its variants say what became of it.
    #[error(transparent)]
    Redfish(#[from] RedfishFailure),
    /// By a fence agent; its variants say what became of it.
    #[error(transparent)]
    Agent(#[from] AgentFailure),
    /// By way of a proxy, which did not carry the question.
    #[error(transparent)]
    Proxy(#[from] ProxyFailure),
    /// By way of several proxies, each with what came of it. An off may have been executed.
    #[error("{}", by_proxies(.0))]
    ByProxies(Vec<(String, Failure)>),
    /// One of several devices that only together take the power away. The others may be off.
    #[error("{device}: {failure}")]
    OneOf {
        /// Which.
        device: String,
        /// Why.
        failure: Box<Failure>,
    },
}

fn by_proxies(tried: &[(String, Failure)]) -> String {
    let one = |(name, failure): &(String, Failure)| format!("by way of {name}: {failure}");
    tried.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn silence(step: Step) -> &'static str {
    match step {
        Step::Capabilities | Step::OpenSession => "enable IPMI 2.0 (RMCP+) on the BMC",
        Step::Rakp1 => "many BMCs do so for an unknown user; check user and LAN access",
        Step::Rakp3 => "many BMCs do so for a wrong password; check it",
        Step::SetPrivilege
        | Step::SystemGuid
        | Step::DeviceGuid
        | Step::PowerOff
        | Step::Status
        | Step::CloseSession => "the BMC may be overloaded or restarting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_to_do() {
        let expected = Identity([1; 16]);
        let wrong = Failure::WrongIdentity { expected, read: None };
        expect_test::expect![[
            "wrong BMC: enrolled as 01010101-0101-0101-0101-010101010101, now it has no GUID: \
             check cabling and address, or enroll it again"
        ]]
        .assert_eq(&wrong.to_string());
        expect_test::expect![[
            "answered, then fell silent at RAKP 1: many BMCs do so for an unknown user; check user \
             and LAN access"
        ]]
        .assert_eq(&Failure::WentSilent(Step::Rakp1).to_string());
    }
}
