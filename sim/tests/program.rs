//! The program `sim`, as its user meets it.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;
use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_scenario_is_printed_with_its_story() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/storage_lost.scn");
    let output = sim(&[file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let story = said(&output.stdout);
    for word in ["verdict", "FenceIntent", "Fenced", "ForcedDown", "Moved", "Recovered"] {
        assert!(story.contains(word), "{word} is missing:\n{story}");
    }
}

#[test]
fn a_slip_of_the_pen_is_named_with_file_line_and_remedy() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slip.scn");
    std::fs::write(&file, "cluster 3 controllers\n").unwrap();
    let output = sim(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = said(&output.stderr);
    for word in ["slip.scn", "line 1", "`3`", "KEY=VALUE"] {
        assert!(error.contains(word), "{word} is missing: {error}");
    }
}

#[test]
fn a_few_seeds_held_to_their_share_print_what_they_met() {
    let output = sim(&["--ci", "--seeds", "2", "--minutes", "1"]);
    let report = said(&output.stdout);
    for word in ["cluster-hours", "double runs 0, wrong fences 0", "refusals", "judged"] {
        assert!(report.contains(word), "{word} is missing:\n{report}");
    }
}
