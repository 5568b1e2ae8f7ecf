//! Nova's error bodies, and what a refusal of a write means.

use serde_json::Value;

use super::transport::{Answered, clip};
use crate::nova::call::{Call, Refusal, Refused};

/// The keys under which Nova (and `error`: its middleware) puts code and message.
const KEYS: [&str; 9] = [
    "badRequest",
    "unauthorized",
    "forbidden",
    "itemNotFound",
    "conflictingRequest",
    "overLimit",
    "computeFault",
    "serviceUnavailable",
    "error",
];

/// The message of an error body, if it is one of Nova's or of its middleware.
pub(super) fn message(answered: &Answered) -> Option<String> {
    let body: Value = serde_json::from_slice(&answered.body).ok()?;
    let object = body.as_object().filter(|object| object.len() == 1)?;
    let (key, fault) = object.iter().next()?;
    if !KEYS.contains(&key.as_str()) {
        return None;
    }
    Some(clip(fault.get("message")?.as_str()?))
}

/// Whether this 503 is the auth middleware's, which stands before Nova: no effect.
pub(super) fn keystone_is_away(answered: &Answered) -> bool {
    answered.status == 503
        && message(answered).is_some_and(|text| text.contains("Keystone service is temporarily"))
}

/// A 4xx of Nova's own to a write.
pub(super) fn refused(call: &Call, status: u16, message: String) -> Refused {
    let meaning = meaning(call, status, &message);
    Refused { status, message, meaning }
}

fn meaning(call: &Call, status: u16, message: &str) -> Refusal {
    let says = |pattern: &str| message.contains(pattern);
    match status {
        400 if says("is still in use") => Refusal::SourceStillUp,
        400 if says("target host can't be the same") => Refusal::SameHost,
        400 if says("Unable to force up host") => Refusal::DoneEvacuationsLeft,
        400 if says("Invalid input") || says("Additional properties") => Refusal::OurRequest,
        401 | 403 => Refusal::NoRight,
        404 if says("Compute host") || !on_a_server(call) => Refusal::HostUnknown,
        404 => Refusal::ServerGone,
        406 => Refusal::OurRequest,
        409 => Refusal::WrongState,
        413 | 429 | 503 => Refusal::TooMany,
        _ => Refusal::Other,
    }
}

fn on_a_server(call: &Call) -> bool {
    match call {
        Call::Evacuate { .. }
        | Call::LiveMigrate { .. }
        | Call::Stop { .. }
        | Call::Reboot { .. }
        | Call::Server { .. }
        | Call::Actions { .. } => true,
        Call::Service { .. }
        | Call::Services
        | Call::ForceDown { .. }
        | Call::Disable { .. }
        | Call::ClearForcedDown { .. }
        | Call::Enable { .. }
        | Call::ServersOn { .. }
        | Call::MigrationsFrom { .. }
        | Call::Hypervisors
        | Call::Aggregates
        | Call::Groups
        | Call::Images { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn novas_sentences_are_told_apart() {
        let evacuate = Call::Evacuate { server: Uuid::nil(), destination: None };
        let clear = Call::ClearForcedDown { service: Uuid::nil() };
        let cases = [
            (
                &evacuate,
                400,
                "Compute service of compute-1 is still in use.",
                Refusal::SourceStillUp,
            ),
            (&evacuate, 400, "The target host can't be the same one.", Refusal::SameHost),
            (&evacuate, 404, "Compute host nohost not found.", Refusal::HostUnknown),
            (&evacuate, 404, "Instance 1111 could not be found.", Refusal::ServerGone),
            (
                &evacuate,
                409,
                "Cannot 'evacuate' instance 1111 while it is in vm_state paused",
                Refusal::WrongState,
            ),
            (
                &evacuate,
                400,
                "Invalid input for field/attribute evacuate. Value: {'force': True}. \
                 Additional properties are not allowed ('force' was unexpected)",
                Refusal::OurRequest,
            ),
            (
                &evacuate,
                403,
                "Policy doesn't allow os_compute_api:os-evacuate to be performed.",
                Refusal::NoRight,
            ),
            (
                &clear,
                400,
                "Unable to force up host compute-1 as `done` evacuation records remain",
                Refusal::DoneEvacuationsLeft,
            ),
            (&clear, 404, "Service 1111 could not be found.", Refusal::HostUnknown),
            (&evacuate, 400, "Operation 'evacuate' not supported for this", Refusal::Other),
            (&evacuate, 429, "slow down", Refusal::TooMany),
        ];
        for (call, status, message, expected) in cases {
            assert_eq!(meaning(call, status, message), expected, "{status} {message}");
        }
    }
}
