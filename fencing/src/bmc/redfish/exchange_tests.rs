use std::collections::VecDeque;

use super::*;
use crate::bmc::Power;

const UUID: &str = "27946b59-9e44-4fa7-8e91-f3527a1ef094";
const SYSTEM: &str = "/redfish/v1/Systems/1";

fn uuid() -> Identity {
    UUID.parse().unwrap()
}

fn plan(ask: Ask) -> Plan {
    Plan { ask, expect: None, log_in: LogIn::Basic, system: None, uuid: None, serial: None }
}

fn says(status: u16, body: &str) -> Answer {
    Answer { status, token: None, location: None, body: body.as_bytes().to_vec() }
}

fn root() -> Answer {
    says(
        200,
        r#"{"Systems": {"@odata.id": "/redfish/v1/Systems"},
        "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}}"#,
    )
}

fn systems() -> Answer {
    says(200, r#"{"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}"#)
}

fn system(power: &str) -> Answer {
    says(
        200,
        &format!(
            r##"{{"@odata.id": "{SYSTEM}", "UUID": "{UUID}", "SerialNumber": "S7",
        "PowerState": "{power}", "Actions": {{"#ComputerSystem.Reset": {{
            "target": "{SYSTEM}/Actions/ComputerSystem.Reset",
            "ResetType@Redfish.AllowableValues": ["On", "ForceOff"]}}}}}}"##
        ),
    )
}

fn token() -> Answer {
    let token = Some(Secret::new("t0ken".into()));
    let location = Some("https://10.0.0.1/redfish/v1/SessionService/Sessions/9".into());
    Answer { token, location, ..says(201, "{}") }
}

/// Plays answers; what was sent, as `METHOD PATH`, and the reply.
fn play(plan: Plan, answers: impl IntoIterator<Item = Answer>) -> (Vec<String>, Reply) {
    let mut answers: VecDeque<_> = answers.into_iter().collect();
    let (mut exchange, mut request) = Exchange::new(plan);
    let mut sent = Vec::new();
    loop {
        let body = request.body.map(|body| format!(" {body:?}")).unwrap_or_default();
        sent.push(format!("{:?} {}{body}", request.method, request.path));
        let lost = RedfishFailure::Lost { stage: request.stage, why: "silence".into() };
        match exchange.answered(answers.pop_front().ok_or(lost)) {
            Next::Send(next) => request = next,
            Next::Done(reply) => return (sent, reply),
        }
    }
}

fn failed(plan: Plan, answers: impl IntoIterator<Item = Answer>) -> Failure {
    match play(plan, answers).1 {
        Reply::Failed(failure) => failure,
        reply @ (Reply::Read { .. } | Reply::OffSent { .. }) => panic!("{reply}"),
    }
}

#[test]
fn a_read_says_who_it_is_and_its_power() {
    let (sent, reply) = play(plan(Ask::Read), [root(), systems(), system("Off")]);
    assert_eq!(reply, Reply::Read { power: Power::Off, identity: Some(uuid()) });
    assert_eq!(sent, ["Get /redfish/v1/", "Get /redfish/v1/Systems", "Get /redfish/v1/Systems/1"]);
}

#[test]
fn an_off_goes_where_the_system_says_and_is_force_off() {
    let plan = Plan { expect: Some(uuid()), ..plan(Ask::Off) };
    let (sent, reply) = play(plan, [root(), systems(), system("On"), says(204, "")]);
    assert_eq!(reply, Reply::OffSent { identity: Some(uuid()), refused: None });
    let post = "Post /redfish/v1/Systems/1/Actions/ComputerSystem.Reset ForceOff";
    assert_eq!(sent.last().map(String::as_str), Some(post));
}

#[test]
fn nothing_is_sent_to_a_system_that_is_another_one() {
    let expect = Identity([7; 16]);
    let plan = Plan { expect: Some(expect), ..plan(Ask::Off) };
    let (sent, reply) = play(plan, [root(), systems(), system("On"), says(204, "")]);
    let wrong = Failure::WrongIdentity { expected: expect, read: Some(uuid()) };
    assert_eq!(reply, Reply::Failed(wrong));
    assert!(sent.iter().all(|sent| sent.starts_with("Get")), "{sent:?}");
}

#[test]
fn what_the_inventory_says_of_the_machine_holds_for_reads_too() {
    let serial = Plan { serial: Some("S8".into()), ..plan(Ask::Read) };
    let said = failed(serial, [root(), systems(), system("Off")]);
    let wrong = RedfishFailure::WrongSerial { expected: "S8".into(), read: Some("S7".into()) };
    assert_eq!(said, Failure::Redfish(wrong));
    let uuid = Plan { uuid: Some(Identity([7; 16])), ..plan(Ask::Read) };
    let said = failed(uuid, [root(), systems(), system("Off")]);
    assert!(matches!(said, Failure::WrongIdentity { .. }));
    let right =
        Plan { serial: Some("S7".into()), uuid: Some(UUID.parse().unwrap()), ..plan(Ask::Read) };
    assert!(matches!(play(right, [root(), systems(), system("Off")]).1, Reply::Read { .. }));
}

#[test]
fn a_session_is_ended_whatever_comes_of_the_question() {
    let end = "Delete /redfish/v1/SessionService/Sessions/9";
    for (ask, last) in [(Ask::Read, None), (Ask::Off, Some(says(409, "")))] {
        let plan = Plan { log_in: LogIn::Session, ..plan(ask) };
        let answers = [root(), token(), systems(), system("Off")].into_iter().chain(last);
        let (sent, reply) = play(plan, answers);
        assert!(!matches!(reply, Reply::Failed(_)), "{reply}");
        assert_eq!(sent.last().map(String::as_str), Some(end));
    }
    let plan = Plan { log_in: LogIn::Session, ..plan(Ask::Read) };
    let (sent, reply) = play(plan, [root(), token()]);
    let lost = RedfishFailure::Lost { stage: Stage::Systems, why: "silence".into() };
    assert_eq!(reply, Reply::Failed(Failure::Redfish(lost)));
    assert_eq!(sent.last().map(String::as_str), Some(end));
}

#[test]
fn a_refused_off_is_left_to_the_reads_unless_the_right_is_missing() {
    for status in [400, 409, 500, 503] {
        let (_, reply) = play(plan(Ask::Off), [root(), systems(), system("Off"), says(status, "")]);
        let refused = Some(Refusal::Http(status));
        assert_eq!(reply, Reply::OffSent { identity: Some(uuid()), refused });
    }
    let said = failed(plan(Ask::Off), [root(), systems(), system("Off"), says(403, "")]);
    assert_eq!(said, Failure::Redfish(RedfishFailure::NoRight(Stage::Reset)));
}

#[test]
fn refusals_are_told_apart() {
    let of = |failure: RedfishFailure| Failure::Redfish(failure);
    let said = failed(plan(Ask::Read), [root(), says(401, "")]);
    assert_eq!(said, of(RedfishFailure::LoginRefused(Stage::Systems)));
    let session = || Plan { log_in: LogIn::Session, ..plan(Ask::Read) };
    let full = r#"{"error": {"code": "Base.1.8.SessionLimitExceeded"}}"#;
    for answer in [says(400, full), says(503, "")] {
        assert_eq!(failed(session(), [root(), answer]), of(RedfishFailure::SlotsFull));
    }
    let said = failed(session(), [root(), says(401, "")]);
    assert_eq!(said, of(RedfishFailure::LoginRefused(Stage::LogIn)));
    let said = failed(plan(Ask::Read), [root(), says(302, "")]);
    assert_eq!(said, of(RedfishFailure::Redirected { stage: Stage::Systems, status: 302 }));
    let two = r#"{"Members": [{"@odata.id": "/redfish/v1/Systems/1"},
        {"@odata.id": "/redfish/v1/Systems/2"}]}"#;
    let said = failed(plan(Ask::Read), [root(), says(200, two)]);
    let which = "/redfish/v1/Systems/1, /redfish/v1/Systems/2";
    assert_eq!(said, of(RedfishFailure::WhichSystem(which.into())));
    let named = Plan { system: Some("/redfish/v1/Systems/3".into()), ..plan(Ask::Read) };
    let said = failed(named.clone(), [root(), says(404, "")]);
    assert_eq!(said, of(RedfishFailure::NoSuchSystem("/redfish/v1/Systems/3".into())));
    let said = failed(named, [root(), system("Off")]);
    assert!(said.to_string().contains("another system"), "{said}");
}

#[test]
fn links_that_lead_elsewhere_are_not_followed() {
    let elsewhere =
        says(200, r#"{"Systems": {"@odata.id": "https://elsewhere/redfish/v1/Systems"}}"#);
    let (sent, reply) = play(plan(Ask::Read), [elsewhere]);
    assert!(matches!(reply, Reply::Failed(Failure::Redfish(RedfishFailure::Nonsense { .. }))));
    assert_eq!(sent.len(), 1);
}
