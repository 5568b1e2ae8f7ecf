//! `hactl` in a scenario: orders, in the words of the command line.

use api::{Request, Scope};

const ALLOWED: &str = "hactl fence NODE | fenced confirm NODE | fenced release NODE [--force] | \
                       maintenance NODE on|off | disarm [NODE] | arm [NODE] | noop on|off | bmc enroll NODE | \
                       drill NODE [--watchdog]";

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
        ["maintenance", node, switch @ ("on" | "off")] => {
            let on = *switch == "on";
            Request::Maintenance { node: (*node).to_owned(), on, reason, person }
        }
        ["disarm"] => Request::Disarm { scope: Scope::All, reason, person },
        ["disarm", node] => Request::Disarm { scope: scope(node), reason, person },
        ["arm"] => Request::Arm { scope: Scope::All, person },
        ["arm", node] => Request::Arm { scope: scope(node), person },
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
