//! The records of a lab's controllers and agents, replayed.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use controller::record::{self, Decision};
use node_agent::record as agents;

use crate::run::{Closing, program};

/// Replays the records of all controllers; each must decide as it had. What each of them told.
pub(crate) fn replayed(closing: &Closing) -> Vec<Vec<Decision>> {
    let mut all = Vec::new();
    for path in files(closing.dir()) {
        let mut decisions = Vec::new();
        let file = BufReader::new(File::open(&path).expect("a record"));
        let replayed = record::replay(file, |decision| decisions.push(decision.clone()));
        let replayed = replayed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        eprintln!("{replayed}");
        assert_eq!(replayed.difference, None, "{}: {replayed}", path.display());
        assert!(replayed.events > 100, "nothing was recorded: {replayed}");
        all.push(decisions);
    }
    all
}

/// Replays the records of all agents; each must do what it had done. How many there are.
pub(crate) fn agents_replayed(closing: &Closing) -> usize {
    let files = files_of(closing.dir(), "node-");
    for path in &files {
        let file = BufReader::new(File::open(path).expect("a record"));
        let name = path.display();
        let (title, reader) = ::record::Title::read(file).expect("a title");
        let replayed = agents::replay(title, reader, |_| {});
        let replayed = replayed.unwrap_or_else(|error| panic!("{name}: {error}"));
        eprintln!("{replayed}");
        assert_eq!(replayed.difference, None, "{name}: {replayed}");
        assert!(replayed.events > 10 && replayed.effects > 10, "nothing was recorded: {replayed}");
    }
    files.len()
}

/// No key, no password and no token of the lab stands in a record, neither as text nor as bytes.
pub(crate) fn hold_no_secret(closing: &Closing) {
    let dir = closing.dir();
    let shared = ["gossip.key", "peer.key", "token", "bmc.password", "nova.password"];
    let own =
        ["controller-1/key", "controller-2/key", "controller-3/key", "node-1/key", "node-2/key"];
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for name in shared.iter().chain(&own) {
        let text = std::fs::read_to_string(dir.join(name)).expect("a secret");
        let text = text.split_whitespace().last().expect("not empty").to_owned();
        assert!(text.len() >= 16, "{name} is too short to be looked for");
        secrets.extend(hex(&text));
        secrets.push(text.into_bytes());
    }
    let mut records = files(dir);
    assert!(records.len() >= 3, "{records:?}");
    records.extend(files_of(dir, "node-"));
    for path in records {
        let bytes = std::fs::read(&path).expect("a record");
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

/// `hactl why` tells of the node and of its incident, without any controller.
pub(crate) fn tell_why(closing: &Closing) {
    for what in [closing.node(), "1"] {
        // Of all controllers: the lead may change on a machine that is short of CPU.
        let mut command = Command::new(program());
        command.args(["why", what, "--record"]).args(files(closing.dir()));
        let output = command.output().expect("hactl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(text.matches("decisions, all the same").count(), 3, "{text}");
        let places = ["FenceIntent", "Fenced epoch=", "Recovered"].map(|line| text.find(line));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{what}: {text}");
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    files_of(dir, "controller-")
}

/// Records of all machines whose names begin so.
fn files_of(dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for machine in std::fs::read_dir(dir).expect("a lab").map(|entry| entry.expect("a machine")) {
        if machine.file_name().to_string_lossy().starts_with(name) {
            let records = machine.path().join("state/records");
            let entries = std::fs::read_dir(&records).expect("records");
            found.extend(entries.map(|entry| entry.expect("a record").path()));
        }
    }
    found.sort();
    found
}
