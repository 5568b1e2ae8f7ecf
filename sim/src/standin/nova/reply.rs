//! The same at the level of the controller's own words, for the simulator.

use std::time::Duration;

use controller::nova::call::{Call, ReadFailure, Refusal, Refused, Reply, Written};

use super::{Cloud, Done, Fault, Request, Served};

/// A reply and when it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the controller's client would make of the answer.
    pub reply: Reply,
    /// Time from the call until the client hands it over.
    pub after: Duration,
}

impl Cloud {
    /// Serves `call` as the HTTP API and the client together would. The effect, if any, is at `now` (or later, see
    /// the faults); the reply is to be delivered after [`Answer::after`], which never exceeds `deadline`.
    pub fn call(&mut self, now: Duration, call: &Call, deadline: Duration) -> Answer {
        let Served { result, after, request_id } = self.serve(now, &Request::of(call));
        let result = result.filter(|_| after <= deadline);
        let Some(result) = result else {
            let why = "no answer before the deadline".to_string();
            let reply = if call.writes() {
                Reply::Written(Written::Unknown(why))
            } else {
                Reply::ReadFailed(ReadFailure::Unavailable(why))
            };
            return Answer { reply, after: deadline };
        };
        let reply = match result {
            Ok(done) => good(call, done, request_id),
            Err(fault) if call.writes() => Reply::Written(bad_write(call, fault)),
            Err(fault) => bad_read(call, fault),
        };
        Answer { reply, after }
    }
}

fn good(call: &Call, done: Done, request_id: String) -> Reply {
    match done {
        Done::Services(rows) if matches!(call, Call::Service { .. }) => {
            Reply::Service(rows.into_iter().next())
        }
        Done::Services(rows) => Reply::Services(rows),
        Done::Service(service) => {
            Reply::Written(Written::Done { request_id, service: Some(service) })
        }
        Done::Servers(rows) => Reply::Servers(rows),
        Done::Server(server) => Reply::Server(Some(server)),
        Done::Migrations(rows) => {
            Reply::Migrations(rows.into_iter().map(|(record, _)| record).collect())
        }
        Done::Actions(rows) => Reply::Actions(rows),
        Done::Hypervisors(rows) => Reply::Hypervisors(rows),
        Done::Aggregates(rows) => Reply::Aggregates(rows),
        Done::Groups(rows) => Reply::Groups(rows),
        Done::Images(ids) => Reply::Images(ids),
        Done::Accepted { .. } | Done::Booted(_) | Done::Deleted => {
            Reply::Written(Written::Done { request_id, service: None })
        }
    }
}

fn bad_read(call: &Call, fault: Fault) -> Reply {
    let text = format!("status {} {}", fault.status, fault.message);
    match (fault.status, call) {
        (404, Call::Server { .. }) => Reply::Server(None),
        (403, Call::Images { .. }) => Reply::ReadFailed(ReadFailure::NoRight(text)),
        (500.., _) => Reply::ReadFailed(ReadFailure::Unavailable(text)),
        _ => Reply::ReadFailed(ReadFailure::NotNova(text)),
    }
}

fn bad_write(call: &Call, fault: Fault) -> Written {
    let Fault { status, message } = fault;
    let says = |pattern: &str| message.contains(pattern);
    let meaning = match status {
        500.. => return Written::Unknown(format!("status {status} {message}")),
        400 if says("is still in use") => Refusal::SourceStillUp,
        400 if says("target host can't be the same") => Refusal::SameHost,
        400 if says("Unable to force up host") => Refusal::DoneEvacuationsLeft,
        400 if says("Invalid input") => Refusal::OurRequest,
        404 if says("Compute host") || matches!(Request::of(call), Request::Update(..)) => {
            Refusal::HostUnknown
        }
        404 => Refusal::ServerGone,
        409 => Refusal::WrongState,
        _ => Refusal::Other,
    };
    Written::Refused(Refused { status, message, meaning })
}
