//! What a node's health checks say, on its way from its agent to the controllers.
//!
//! Only changes travel, and every few seconds a line that says how many changes there have been: who has missed one asks
//! for all of it. An answer quotes the question, so that an old one cannot pass for a new one: whatever would end a VM
//! rests on such an answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BootId, NodeId};

/// Marks such a message among the application payloads that gossip carries.
pub const CHANNEL: u8 = 5;

/// Checks of one node. More are refused by its configuration, and dropped by a controller.
pub const MOST_CHECKS: usize = 32;

/// Checks in one datagram, so that it fits.
pub const CHECKS_PER_PART: usize = 5;

/// Longest name, in bytes; the action matrix takes no longer one either.
pub const LONGEST_NAME: usize = 32;

/// Longest message, in bytes: a line of a terminal. What is longer is cut.
pub const LONGEST_MESSAGE: usize = 120;

/// What a check says of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// All is well. An exit code of 0.
    Ok,
    /// Someone should look; the action matrix takes it for ok. 1.
    Warning,
    /// It failed: the action matrix calls it failed. 2.
    Critical,
    /// The check itself did not work, or was not heard. 3. Never a reason to fence.
    Unknown,
}

impl State {
    /// Every state, in the order of exit codes.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Critical, Self::Unknown];

    /// As it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Critical => "critical",
            State::Unknown => "unknown",
        }
    }

    /// The state of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// What a plug-in's exit code means. Any other than 0 to 2 says nothing about the node.
    pub fn of_exit(code: i32) -> Self {
        match code {
            0 => State::Ok,
            1 => State::Warning,
            2 => State::Critical,
            _ => State::Unknown,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Controller to agent: say all of it.
    Ask {
        /// Fresh; the answer quotes it.
        nonce: u64,
    },
    /// Agent to controllers.
    Report(Report),
}

/// What an agent sends. Each report stands for itself: in whatever order they come, the highest turn of a check holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// Starts of its agent: what an earlier life of it said holds no more.
    pub life: u64,
    /// The question that this answers; `None`: nobody asked.
    pub answers: Option<u64>,
    /// Checks that there are on the node.
    pub of: u8,
    /// The sum of all their turns: who comes to the same has missed nothing.
    pub turns: u64,
    /// Some of the checks: [`CHECKS_PER_PART`] at most, none where nothing is new.
    pub checks: Vec<Check>,
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name: the one that the action matrix may use.
    pub name: String,
    /// Counts its changes in this life of the agent, from 1 on.
    pub turn: u64,
    /// What it says.
    pub state: State,
    /// What it said before.
    pub before: State,
    /// The exit code, the HTTP status or the errno behind it, as it was when it changed.
    pub code: i32,
    /// A line for people, [`LONGEST_MESSAGE`] bytes at most.
    pub message: String,
    /// Seconds since it changed, on the node's clock.
    pub for_s: u32,
}

/// Whether a check may be called so: lower-case letters, digits, `-` and `_`, a letter first.
pub fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    name.len() <= LONGEST_NAME
        && name.bytes().all(plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

/// One line that is safe for a terminal and fits its datagram, whoever wrote it.
pub fn line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.trim().chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if line.len() + letter.len_utf8() > LONGEST_MESSAGE {
            break;
        }
        line.push(letter);
    }
    line
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// What gossip carries of one payload, less the byte of the channel.
    const MOST: usize = 999;

    #[test]
    fn the_longest_report_fits_a_datagram() {
        let check = Check {
            name: "n".repeat(LONGEST_NAME),
            turn: u64::MAX,
            state: State::Unknown,
            before: State::Unknown,
            code: i32::MIN,
            message: "m".repeat(LONGEST_MESSAGE),
            for_s: u32::MAX,
        };
        let report = Report {
            node: NodeId(Uuid::max()),
            boot: BootId(Uuid::max()),
            life: u64::MAX,
            answers: Some(u64::MAX),
            of: u8::MAX,
            turns: u64::MAX,
            checks: vec![check; CHECKS_PER_PART],
        };
        let length = postcard::to_stdvec(&Message::Report(report)).expect("plain").len();
        assert!(length <= MOST, "{length}");
    }

    #[test]
    fn a_message_is_one_line_that_fits_whoever_wrote_it() {
        assert_eq!(line(" disk full\n\u{1b}[31m "), "disk full  [31m");
        let long = line(&"ä".repeat(200));
        assert_eq!(long, "ä".repeat(60));
    }

    #[test]
    fn a_name_is_one_that_the_matrix_could_use() {
        assert!(is_name("disk") && is_name("nova-compute_2"));
        for bad in ["", "Disk", "2disk", "a b", "ä", &"n".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_exit_code_that_no_plug_in_has_says_nothing_of_the_node() {
        let states = [0, 1, 2, 3, 127, -9].map(State::of_exit);
        let unknown = State::Unknown;
        assert_eq!(states, [State::Ok, State::Warning, State::Critical, unknown, unknown, unknown]);
    }
}
