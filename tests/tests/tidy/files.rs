//! What may not be in a file, whatever it is for.

use crate::{Text, refuse, texts};

/// Longest file that a reader is asked to take in at once.
const LINES: usize = 500;

/// Longer files, each with the reason why cutting it would not help its reader.
const LONG: [(&str, &str); 1] = [(
    "docs/scenarios.md",
    "an index made from the heads of all scenarios: it is looked up, not read",
)];

/// Files that may lift the ban on unsafe code, each with its reason.
const UNSAFE: [(&str, &str); 2] = [
    ("fencing/src/watchdog/ioctl.rs", "the watchdog speaks by ioctls alone"),
    ("node-agent/tests/hot_path.rs", "an allocator that counts cannot be written without"),
];

/// Endings of files that people write.
const WRITTEN: [&str; 10] = ["rs", "go", "sh", "py", "toml", "md", "html", "css", "js", "scn"];

/// Directories that exist on somebody's machine alone. They are put together here, so that this
/// file does not contain them.
const MACHINES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/", "hf"),
    concat!("/Us", "ers/"),
];

/// Hosts of package registries: cargo, pip and apt know theirs.
const REGISTRIES: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("deb.deb", "ian.org"),
    concat!("proxy.go", "lang.org"),
];

fn ending(text: &Text) -> &str {
    text.path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Our own words: not what cargo writes.
fn ours() -> impl Iterator<Item = Text> {
    texts("").into_iter().filter(|text| !text.path.ends_with("Cargo.lock"))
}

#[test]
fn no_file_names_a_directory_of_one_machine() {
    let mut complaints = Vec::new();
    for text in ours() {
        for (index, line) in text.content.lines().enumerate() {
            for machine in MACHINES.iter().filter(|machine| begins_a_path(line, machine)) {
                complaints.push(format!("{}:{}: names {machine}", text.path, index + 1));
            }
        }
    }
    refuse(&complaints);
}

/// Whether `directory` stands in the line as the start of a path, not in the middle of one.
fn begins_a_path(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_-.}".contains(letter))
    })
}

#[test]
fn no_file_names_the_host_of_a_package_registry() {
    let mut complaints = Vec::new();
    for text in ours() {
        for host in REGISTRIES.iter().filter(|host| text.content.contains(**host)) {
            complaints.push(format!("{}: names {host}", text.path));
        }
    }
    refuse(&complaints);
}

#[test]
fn no_file_is_longer_than_a_reader_can_bear() {
    let mut complaints = Vec::new();
    for text in ours().filter(|text| WRITTEN.contains(&ending(text))) {
        let lines = text.content.lines().count();
        if lines > LINES && !LONG.iter().any(|(path, _)| *path == text.path) {
            complaints.push(format!("{}: {lines} lines, more than {LINES}", text.path));
        }
    }
    refuse(&complaints);
}

#[test]
fn no_test_is_ignored() {
    let attribute = concat!("#[ig", "nore");
    let complaints: Vec<String> = ours()
        .filter(|text| ending(text) == "rs" && text.content.contains(attribute))
        .map(|text| format!("{}: a test that cannot run prints SKIPPED; see xtask", text.path))
        .collect();
    refuse(&complaints);
}

#[test]
fn unsafe_code_stands_where_it_is_known_to_stand() {
    let lifted = concat!("allow(unsafe", "_code");
    let complaints: Vec<String> = ours()
        .filter(|text| ending(text) == "rs" && text.content.contains(lifted))
        .filter(|text| !UNSAFE.iter().any(|(path, _)| *path == text.path))
        .map(|text| format!("{}: lifts the ban on unsafe code", text.path))
        .collect();
    refuse(&complaints);
}
