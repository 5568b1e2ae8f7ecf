//! The few requests that exist for us, and the numbers of their answers.

use super::message::Request;

/// Network function Chassis.
pub const CHASSIS: u8 = 0x00;
/// Network function Application.
pub const APPLICATION: u8 = 0x06;

/// Get Chassis Status (IPMI 2.0, 28.2).
pub const CHASSIS_STATUS: u8 = 0x01;
/// Chassis Control (28.3).
pub const CHASSIS_CONTROL: u8 = 0x02;
/// The only parameter of Chassis Control that we send: power down at once, no ACPI.
pub const POWER_DOWN: u8 = 0x00;
/// Get Device GUID (20.8).
pub const DEVICE_GUID: u8 = 0x08;
/// Get System GUID (22.14).
pub const SYSTEM_GUID: u8 = 0x37;
/// Get Channel Authentication Capabilities (22.13).
pub const CHANNEL_CAPABILITIES: u8 = 0x38;
/// Set Session Privilege Level (22.18).
pub const SESSION_PRIVILEGE: u8 = 0x3b;
/// Close Session (22.19).
pub const CLOSE_SESSION: u8 = 0x3c;

/// Completion codes (IPMI 2.0, table 5-2, and those of Set Session Privilege Level).
pub mod code {
    /// Done.
    pub const OK: u8 = 0x00;
    /// Requested level is not available for this user.
    pub const LEVEL_NOT_FOR_USER: u8 = 0x81;
    /// Requested level exceeds the limit of user or channel.
    pub const LEVEL_OVER_LIMIT: u8 = 0x82;
    /// Try again later.
    pub const BUSY: u8 = 0xc0;
    /// No such command.
    pub const INVALID_COMMAND: u8 = 0xc1;
    /// Request is too short or too long.
    pub const LENGTH: u8 = 0xc7;
    /// A parameter is not allowed.
    pub const INVALID_FIELD: u8 = 0xcc;
    /// The session's level is too low.
    pub const PRIVILEGE: u8 = 0xd4;
    /// Unspecified error.
    pub const UNSPECIFIED: u8 = 0xff;
}

/// A request that a session may send. Power cycle, reset, soft shutdown and power on are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// What does this channel offer, at this level.
    ChannelCapabilities(u8),
    /// Raise the session to this level.
    SessionPrivilege(u8),
    /// Who is the system.
    SystemGuid,
    /// Who is the BMC.
    DeviceGuid,
    /// Hard power off.
    PowerOff,
    /// Is the power on.
    ChassisStatus,
    /// Free the slot of the session with this id of the BMC's.
    CloseSession(u32),
}

impl Command {
    /// The request, numbered by the caller.
    pub fn request(self, sequence: u8) -> Request {
        /// This channel, with the answer for IPMI 2.0.
        const THIS_CHANNEL: u8 = 0x80 | 0x0e;
        let (function, command, data) = match self {
            Self::ChannelCapabilities(level) => {
                (APPLICATION, CHANNEL_CAPABILITIES, vec![THIS_CHANNEL, level])
            }
            Self::SessionPrivilege(level) => (APPLICATION, SESSION_PRIVILEGE, vec![level]),
            Self::SystemGuid => (APPLICATION, SYSTEM_GUID, vec![]),
            Self::DeviceGuid => (APPLICATION, DEVICE_GUID, vec![]),
            Self::PowerOff => (CHASSIS, CHASSIS_CONTROL, vec![POWER_DOWN]),
            Self::ChassisStatus => (CHASSIS, CHASSIS_STATUS, vec![]),
            Self::CloseSession(id) => (APPLICATION, CLOSE_SESSION, id.to_le_bytes().to_vec()),
        };
        Request { function, command, sequence, data }
    }
}
