//! Written hunts: `tests/scenarios/mutants/mNN_what_happens.scn`. The first line says what the file is for:
//! `# M01, killed by off_when_fenced: why`.

use std::path::{Path, PathBuf};

use mutants::Mutant;

use super::kill::{Found, judges};
use crate::scenario::Scenario;

/// A written hunt.
pub(super) struct Story {
    /// The file's, without its ending.
    pub(super) name: String,
    scenario: Scenario,
}

impl Story {
    /// Played with the break, which is on. An expectation that is not met speaks for an oracle that is none of the
    /// simulator's: liveness has expectations in its place.
    pub(super) fn with_break(&self, mutant: Mutant) -> Found {
        let endured = self.scenario.endure();
        let mut found = Found::of(&endured.broken);
        if !judges(mutant.oracle()) && !endured.unmet.is_empty() {
            found.oracles.push(mutant.oracle());
        }
        found.words.extend(endured.unmet);
        found
    }

    /// Played as the code is.
    pub(super) fn without(&self) -> Result<(), String> {
        self.scenario.play().map(|_| ()).map_err(|failed| failed.why)
    }
}

/// Those of a mutant, by name.
///
/// # Panics
/// A file that is no hunt: its first line says so, or it is no scenario.
pub(super) fn of(mutant: Mutant) -> Vec<Story> {
    let prefix = format!("{mutant:?}_").to_lowercase();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| stem(path).starts_with(&prefix))
        .collect();
    files.sort();
    files.iter().map(|file| read(mutant, file)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/mutants")
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(mutant: Mutant, file: &Path) -> Story {
    let name = stem(file);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let head = format!("# {mutant:?}, killed by {}: ", mutant.oracle());
    assert!(text.starts_with(&head), "{name}: its first line must begin with `{head}`");
    let scenario = Scenario::parse(&text).unwrap_or_else(|bad| panic!("{name}: {bad}"));
    Story { name, scenario }
}
