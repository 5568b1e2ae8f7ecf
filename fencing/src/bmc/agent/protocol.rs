//! What goes into an agent, and what its exit code and its words mean together.
//!
//! The exit code alone would be a poor witness: 2 means "off" after `status`, and it is also how an
//! interpreter ends that cannot open its program, and how many programs end that were called wrongly.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AgentFailure, AgentTarget, Metadata};
use crate::bmc::{Failure, Identity, Power, Refusal, Reply};

/// Exit code of `status` where the node is on.
const ON: i32 = 0;
/// Exit code of `status` where the node is off.
const OFF: i32 = 2;
/// How long the agent itself waits for the effect of an off, in seconds, unless the inventory says so:
/// short, for reads decide, and an agent that is killed while it waits has said nothing.
const POWER_TIMEOUT: &str = "3";
/// Longest words of an agent that are shown.
const SHOWN: usize = 160;

/// What is asked of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Switch off.
    Off,
    /// Tell the power.
    Status,
    /// Describe yourself.
    Metadata,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Status => "status",
            Self::Metadata => "metadata",
        })
    }
}

/// How a run of an agent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Exit code; `None`: by a signal.
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) errors: String,
}

/// What the agent reads, a line for each parameter.
pub(super) fn input(
    target: &AgentTarget,
    action: Action,
    metadata: Option<&Metadata>,
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("action={action}\n"));
    let Some(metadata) = metadata else { return text };
    for (name, value) in target.parameters() {
        text.extend([name.as_str(), "=", value, "\n"]);
    }
    let chosen = target.parameters().keys().any(|name| name.replace('-', "_") == "power_timeout");
    if metadata.knows("power_timeout") && !chosen {
        text.extend(["power_timeout=", POWER_TIMEOUT, "\n"]);
    }
    if let Some((name, password)) = target.password() {
        text.extend([name, "=", password.expose_text(), "\n"]);
    }
    text
}

/// What a run of `status` says of the power: exactly the code and exactly the words, or nothing.
pub(super) fn status(target: &AgentTarget, identity: Identity, ended: &Ended) -> Reply {
    let last = ended.output.lines().map(str::trim).rfind(|line| !line.is_empty());
    let power = match (ended.code, last) {
        (Some(OFF), Some("Status: OFF")) => Power::Off,
        (Some(ON), Some("Status: ON")) => Power::On,
        (Some(code @ (ON | OFF)), said) if ended.errors.trim().is_empty() || said.is_some() => {
            let words = show(target, said.unwrap_or_default());
            return failed(AgentFailure::Contradiction { code, words });
        }
        (Some(_) | None, _) => return failed(how_it_failed(target, Action::Status, ended)),
    };
    Reply::Read { power, identity: Some(identity) }
}

/// What a run of `off` says: only whether one was sent.
pub(super) fn off(target: &AgentTarget, identity: Identity, ended: &Ended) -> Reply {
    let identity = Some(identity);
    match ended.code {
        Some(0) if ended.output.contains("Already OFF") => failed(AgentFailure::SentNothing),
        Some(0) => Reply::OffSent { identity, refused: None },
        // It was sent, and the agent saw no effect of it yet.
        Some(code) if ended.errors.contains("Timed out waiting to power OFF") => {
            Reply::OffSent { identity, refused: Some(Refusal::Exit(code)) }
        }
        Some(_) | None => failed(how_it_failed(target, Action::Off, ended)),
    }
}

pub(super) fn how_it_failed(target: &AgentTarget, action: Action, ended: &Ended) -> AgentFailure {
    let how = ended.code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
    let mut lines = ended.errors.lines().chain(ended.output.lines()).map(str::trim);
    // The hint at the usage, which agents of the library write last, helps nobody here.
    let words = lines.rfind(|line| !line.is_empty() && !line.contains("Please use '-h'"));
    AgentFailure::Failed { action, how, words: show(target, words.unwrap_or("no word")) }
}

/// Words of an agent, made fit to be shown: an agent may repeat what it read, and so the password.
fn show(target: &AgentTarget, words: &str) -> String {
    let words = match target.password() {
        Some((_, password)) => words.replace(password.expose_text(), "***"),
        None => words.to_owned(),
    };
    words.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn failed(failure: AgentFailure) -> Reply {
    Reply::Failed(Failure::Agent(failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::Secret;

    const ID: Identity = Identity([7; 16]);

    fn target() -> AgentTarget {
        let parameters = [("ip".into(), "10.0.0.1".into()), ("plug".into(), "3".into())].into();
        let password = Some(("password".into(), Secret::new("hunter2".into())));
        AgentTarget::new("/usr/sbin/fence_x".into(), parameters, password).unwrap()
    }

    fn ended(code: i32, output: &str, errors: &str) -> Ended {
        Ended { code: Some(code), output: output.into(), errors: errors.into() }
    }

    fn reads(code: i32, output: &str) -> Option<Power> {
        match status(&target(), ID, &ended(code, output, "")) {
            Reply::Read { power, .. } => Some(power),
            Reply::Failed(_) | Reply::OffSent { .. } => None,
        }
    }

    #[test]
    fn code_and_words_must_both_say_off() {
        assert_eq!(reads(2, "Status: OFF\n"), Some(Power::Off));
        assert_eq!(reads(0, "Status: ON\n"), Some(Power::On));
        for (code, output) in [
            (2, ""),
            (2, "Status: ON\n"),
            (2, "Status: OFF\nStatus: ON\n"),
            (2, "usage: fence_x [-h]\n"),
            (0, "Status: OFF\n"),
            (0, ""),
            (1, "Status: OFF\n"),
            (2, "Status: off\n"),
            (2, "not Status: OFF\n"),
        ] {
            assert_eq!(reads(code, output), None, "{code} {output:?}");
        }
        let killed = Ended { code: None, output: "Status: OFF\n".into(), errors: String::new() };
        assert!(matches!(status(&target(), ID, &killed), Reply::Failed(_)));
    }

    #[test]
    fn an_off_that_was_not_sent_is_no_off() {
        let of = |ended: Ended| off(&target(), ID, &ended);
        let sent = Reply::OffSent { identity: Some(ID), refused: None };
        assert_eq!(of(ended(0, "Success: Powered OFF\n", "")), sent);
        let nothing = failed(AgentFailure::SentNothing);
        assert_eq!(of(ended(0, "Success: Already OFF\n", "")), nothing);
        let late =
            "ERROR: Failed: Timed out waiting to power OFF\n\nERROR: Please use '-h' for usage";
        let refused = Some(Refusal::Exit(1));
        assert_eq!(of(ended(1, "", late)), Reply::OffSent { identity: Some(ID), refused });
        let denied = of(ended(1, "", "ERROR: Unable to connect/login to fencing device\n"));
        assert!(matches!(denied, Reply::Failed(_)), "{denied}");
    }

    #[test]
    fn what_an_agent_repeats_is_shown_without_the_password() {
        let words = "WARNING: Ignoring unknown option 'passw=hunter2'\n";
        let reply = off(&target(), ID, &ended(1, "", words)).to_string();
        assert!(reply.contains("passw=***") && !reply.contains("hunter2"), "{reply}");
    }

    #[test]
    fn the_password_comes_last_and_the_agent_does_not_wait_for_long() {
        let metadata = "<resource-agent><parameter name=\"power_timeout\">";
        let metadata = Metadata::parse(metadata).unwrap();
        let text = input(&target(), Action::Off, Some(&metadata));
        let want = "action=off\nip=10.0.0.1\nplug=3\npower_timeout=3\npassword=hunter2\n";
        assert_eq!(text.as_str(), want);
        assert_eq!(input(&target(), Action::Metadata, None).as_str(), "action=metadata\n");
    }
}
