//! Every scenario of `tests/scenarios` is played, and its file must be what the simulator tells now. `BLESS=1` rewrites
//! the files; whoever does so reads the difference.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

use sim::scenario::Scenario;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "scn"));
    files.sort();
    files
}

/// What is wrong with a file, if anything.
fn complaint(file: &Path, bless: bool) -> Option<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let scenario = match Scenario::parse(&text) {
        Ok(scenario) => scenario,
        Err(bad) => return Some(format!("{name}: {bad}")),
    };
    let played = match scenario.play() {
        Ok(played) => played,
        Err(failed) => return Some(format!("{name}: {failed}")),
    };
    if played.text == text {
        return None;
    }
    if bless {
        std::fs::write(file, played.text).unwrap();
        return None;
    }
    let difference = text.lines().zip(played.text.lines()).find(|(is, should)| is != should);
    let (is, should) = difference.unwrap_or(("(the end)", "(more or fewer lines)"));
    Some(format!("{name} tells another story (BLESS=1 rewrites it):\n  - {is}\n  + {should}"))
}

#[test]
fn every_scenario_tells_the_story_that_is_written_there() {
    let bless = std::env::var_os("BLESS").is_some();
    let files = files("scenarios");
    assert!(files.len() >= 20, "only {} scenarios", files.len());
    let (even, odd): (Vec<_>, Vec<_>) =
        files.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let halves = [even, odd].map(|half| {
            scope.spawn(move || -> Vec<String> {
                half.into_iter().filter_map(|(_, file)| complaint(file, bless)).collect()
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n\n"));
}

#[test]
fn the_same_scenario_twice_is_the_same_byte_for_byte() {
    let text = std::fs::read_to_string(files("scenarios").first().unwrap()).unwrap();
    let play = || Scenario::parse(&text).unwrap().play().unwrap();
    assert_eq!(play().hash, play().hash);
}

#[test]
fn sabotage_is_noticed_by_the_oracle_that_is_there_for_it() {
    let complaints: Vec<String> = files("scenarios/sabotage")
        .iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let killer = text.strip_prefix("# Killed by ")?.split(':').next()?.to_owned();
            let noticed =
                Scenario::parse(&text).unwrap().play().err().and_then(|failed| failed.oracle);
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            (noticed != Some(killer.as_str()))
                .then(|| format!("{name}: {killer} should notice, and {noticed:?} did"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_story_of_a_mutant_can_be_read_and_names_an_oracle() {
    let complaints: Vec<String> = files("scenarios/mutants")
        .iter()
        .filter_map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(file).unwrap();
            let number = name.split('_').next().unwrap_or_default().to_uppercase();
            let head = text.strip_prefix(&format!("# {number}, killed by "));
            let Some((oracle, _)) = head.and_then(|head| head.split_once(": ")) else {
                return Some(format!(
                    "{name}: the first line is `# {number}, killed by ORACLE: why`"
                ));
            };
            if sim::oracle::all().iter().all(|known| known.name() != oracle) {
                return Some(format!("{name}: there is no oracle {oracle}"));
            }
            Scenario::parse(&text).err().map(|bad| format!("{name}: {bad}"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
