//! Steps as sentences.

use super::actions::Action;
use super::state::State;

const NAMES: [&str; 3] = ["ctl-a", "ctl-b", "ctl-c"];

pub(super) fn sentence(before: &State, action: Action, after: &State) -> String {
    let term = |c: usize| after.controllers[c].term;
    let told = match action {
        Action::Elected(c, v) => {
            format!("{} leads term {}, by the vote of {}", NAMES[c], term(c), NAMES[v])
        }
        Action::Copies(c, d, true) => format!("{} takes the log of {}", NAMES[d], NAMES[c]),
        Action::Copies(c, d, false) => {
            format!("{} takes the log of {} but for its last entry", NAMES[d], NAMES[c])
        }
        Action::Writes(c, kind) => format!("{} writes {kind:?}, term {}", NAMES[c], term(c)),
        Action::Orders(c) => format!("{} sends the order to switch off", NAMES[c]),
        Action::Arrives => "the order arrives: the node is off".to_owned(),
        Action::OrderLost => "the order is lost".to_owned(),
        Action::Tick => "a second".to_owned(),
        Action::LongTime(paused) => {
            let names: Vec<&str> =
                (0..3).filter(|c| paused >> c & 1 == 1).map(|c| NAMES[c]).collect();
            let who = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            format!("five minutes; paused meanwhile: {who}")
        }
        Action::Heals => "the node is well again".to_owned(),
        Action::Dies => "the node dies".to_owned(),
        Action::Boots => "the node boots, its gate closed".to_owned(),
        Action::Admitted => "its gate opens".to_owned(),
        Action::Crashes(c) => format!("{} crashes and starts again", NAMES[c]),
    };
    let commits = |s: &State| s.controllers.map(|c| c.commit);
    let news = if commits(before) == commits(after) {
        String::new()
    } else {
        format!("commit indexes {:?}", commits(after))
    };
    format!("{told:<64} {news}").trim_end().to_owned()
}
