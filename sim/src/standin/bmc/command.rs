//! What a BMC does when it is told something.

use std::time::Duration;

use fencing::bmc::ipmi::command::{
    APPLICATION, CHANNEL_CAPABILITIES, CHASSIS, CHASSIS_CONTROL, CHASSIS_STATUS, CLOSE_SESSION,
    POWER_DOWN, SESSION_PRIVILEGE, SYSTEM_GUID, code,
};
use fencing::bmc::ipmi::message::{Request, Response};

use super::{Behaviour, BmcServer, Chassis};

/// Get Device ID (IPMI 2.0, 20.1).
const DEVICE_ID: u8 = 0x01;
/// Parameter of Chassis Control: power up.
const POWER_UP: u8 = 0x01;
const OPERATOR: u8 = 3;

impl BmcServer {
    /// The two commands that need no session.
    pub(super) fn outside_session(&self, request: &Request) -> Response {
        match (request.function, request.command) {
            (APPLICATION, CHANNEL_CAPABILITIES) => capabilities(request),
            (APPLICATION, SYSTEM_GUID) => self.guid(request),
            _ => request.answer(code::PRIVILEGE, &[]),
        }
    }

    /// A command of a session at `level`, which may be raised up to `ceiling`.
    pub(super) fn execute(
        &mut self,
        now: Duration,
        request: &Request,
        level: &mut u8,
        ceiling: u8,
        chassis: &mut dyn Chassis,
    ) -> Response {
        match (request.function, request.command, &request.data[..]) {
            (APPLICATION, DEVICE_ID, _) => device_id(request),
            (APPLICATION, SYSTEM_GUID, _) => self.guid(request),
            (APPLICATION, CHANNEL_CAPABILITIES, _) => capabilities(request),
            (APPLICATION, SESSION_PRIVILEGE, [asked]) => raise(request, *asked, level, ceiling),
            (APPLICATION, CLOSE_SESSION, [_, _, _, _, ..]) => request.answer(code::OK, &[]),
            (CHASSIS, CHASSIS_STATUS, _) => {
                let on = chassis.power() && self.behaviour != Behaviour::Lies;
                request.answer(code::OK, &[u8::from(on), 0, 0, 0])
            }
            (CHASSIS, CHASSIS_CONTROL, [control]) if *level >= OPERATOR => {
                let code = self.control(now, *control & 0x0f, chassis);
                request.answer(code, &[])
            }
            (CHASSIS, CHASSIS_CONTROL, [_]) => request.answer(code::PRIVILEGE, &[]),
            (APPLICATION, SESSION_PRIVILEGE | CLOSE_SESSION, _) | (CHASSIS, CHASSIS_CONTROL, _) => {
                request.answer(code::LENGTH, &[])
            }
            _ => request.answer(code::INVALID_COMMAND, &[]),
        }
    }

    fn control(&mut self, now: Duration, control: u8, chassis: &mut dyn Chassis) -> u8 {
        self.controls += 1;
        let on = match control {
            POWER_DOWN => false,
            POWER_UP => true,
            _ => return code::INVALID_FIELD,
        };
        match self.behaviour {
            Behaviour::Obeys | Behaviour::Silent | Behaviour::SlotsFull => {
                self.off_at = None;
                chassis.set_power(on);
                code::OK
            }
            // A second off does not put the first one back.
            Behaviour::Slow(delay) if !on => {
                self.off_at = self.off_at.or(Some(now + delay));
                code::OK
            }
            Behaviour::Slow(_) => {
                self.off_at = None;
                chassis.set_power(on);
                code::OK
            }
            Behaviour::Stuck | Behaviour::Lies => code::OK,
            Behaviour::Refuses(code) => code,
        }
    }

    fn guid(&self, request: &Request) -> Response {
        if self.settings.guid == [0; 16] {
            return request.answer(code::INVALID_COMMAND, &[]);
        }
        request.answer(code::OK, &self.settings.guid)
    }
}

/// True if this ends the session.
pub(super) fn closes(request: &Request, response: &Response) -> bool {
    (request.function, request.command, response.code) == (APPLICATION, CLOSE_SESSION, code::OK)
}

fn raise(request: &Request, asked: u8, level: &mut u8, ceiling: u8) -> Response {
    match asked & 0x0f {
        0 => {} // only asks for the present level
        asked if asked > ceiling => return request.answer(code::LEVEL_NOT_FOR_USER, &[]),
        asked => *level = asked,
    }
    request.answer(code::OK, &[*level])
}

fn capabilities(request: &Request) -> Response {
    // Channel 1, IPMI 2.0 data follows, named users only, IPMI 2.0 spoken, no OEM.
    request.answer(code::OK, &[1, 0x80, 0x04, 0x02, 0, 0, 0, 0])
}

fn device_id(request: &Request) -> Response {
    // Id and revision 0, firmware 1.0, IPMI 2.0, chassis device, no manufacturer, no product.
    request.answer(code::OK, &[0, 0, 1, 0, 0x02, 0x80, 0, 0, 0, 0, 0])
}
