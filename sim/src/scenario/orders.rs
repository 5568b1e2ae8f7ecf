//! `hactl` in a scenario: orders, in the words of the command line.

use api::{Request, Scope};

const ALLOWED: &str = "hactl fence NODE | fenced confirm NODE | fenced release NODE [--force] | \
                       maintenance NODE on|off [migrate] [for=10min] | disarm [NODE] [for=10min] | arm [NODE] | noop on|off | bmc enroll NODE | \
                       incidents approve N | policy explain ID | drill NODE [--watchdog]";

/// Reads an order.
pub(super) fn order(words: &[&str]) -> Result<Request, String> {
    let (person, reason) = ("operator".to_owned(), "scenario".to_owned());
    let scope = |node: &str| Scope::Node(node.to_owned());
    Ok(match words {
        ["fence", node] => Request::Fence { node: (*node).to_owned(), reason, person },
        ["fenced", "confirm", node] => {
            let node = (*node).to_owned();
            Request::Confirm { typed: node.clone(), node, reason, person }
        }
        ["fenced", "confirm", node, typed] => Request::Confirm {
            typed: (*typed).to_owned(),
            node: (*node).to_owned(),
            reason,
            person,
        },
        ["fenced", "release", node] => {
            Request::Release { node: (*node).to_owned(), force: false, reason, person }
        }
        ["fenced", "release", node, "--force"] => {
            Request::Release { node: (*node).to_owned(), force: true, reason, person }
        }
        ["maintenance", node, switch @ ("on" | "off"), rest @ ..] => {
            let (on, node) = (*switch == "on", (*node).to_owned());
            let (minutes, migrate) = options(rest)?;
            Request::Maintenance { node, on, reason, person, minutes, migrate }
        }
        ["disarm", node, rest @ ..] if !node.starts_with("for=") => {
            let (minutes, _) = options(rest)?;
            Request::Disarm { scope: scope(node), reason, person, minutes }
        }
        ["disarm", rest @ ..] => {
            let (minutes, _) = options(rest)?;
            Request::Disarm { scope: Scope::All, reason, person, minutes }
        }
        ["arm"] => Request::Arm { scope: Scope::All, person },
        ["arm", node] => Request::Arm { scope: scope(node), person },
        ["policy", "explain", server] => Request::ExplainPolicy { server: (*server).to_owned() },
        ["incidents", "approve", number] => {
            let incident = number.parse().map_err(|_| format!("`{number}` is no number"))?;
            Request::Approve { incident, person }
        }
        ["bmc", "enroll", node] => {
            Request::BmcEnroll { node: (*node).to_owned(), level: 1, person }
        }
        ["drill", node] => Request::Drill { node: (*node).to_owned(), watchdog: false, person },
        ["drill", node, "--watchdog"] => {
            Request::Drill { node: (*node).to_owned(), watchdog: true, person }
        }
        ["noop", switch @ ("on" | "off")] => Request::Noop { on: *switch == "on" },
        _ => return Err(format!("`hactl {}`: allowed are {ALLOWED}", words.join(" "))),
    })
}

/// `for=10min` and `migrate`.
fn options(words: &[&str]) -> Result<(Option<u64>, bool), String> {
    let (mut minutes, mut migrate) = (None, false);
    for word in words {
        match word.split_once('=') {
            Some(("for", span)) => {
                minutes = Some(super::parse::duration(span)?.as_secs().div_ceil(60));
            }
            None if *word == "migrate" => migrate = true,
            _ => return Err(format!("`{word}`: write for=10min or migrate")),
        }
    }
    Ok((minutes, migrate))
}
