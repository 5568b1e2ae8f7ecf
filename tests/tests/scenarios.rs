//! Every scenario of `tests/scenarios` is played, and its file must be what the simulator tells now. `BLESS=1` rewrites
//! the files; whoever does so reads the difference.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
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
    assert!(files.len() >= 85, "only {} scenarios", files.len());
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

/// The head of a scenario: what happens, and in brackets the part of the index it belongs to, with its sources.
struct Head {
    name: String,
    group: String,
    text: String,
    source: String,
}

fn head(file: &Path) -> Result<Head, String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let wrong = || format!("{name}: its head is no `# TEXT` that ends with `# [GROUP] SOURCE`");
    let (last, story) = lines.split_last().ok_or_else(wrong)?;
    let bracket =
        last.strip_prefix('[').and_then(|rest| rest.split_once("] ")).ok_or_else(wrong)?;
    if story.is_empty() {
        return Err(wrong());
    }
    let (group, source) = (bracket.0.to_owned(), bracket.1.to_owned());
    Ok(Head { name, group, text: story.join(" "), source })
}

/// Words in lines of at most 118 columns.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let wide = word.chars().count();
        if column > 0 && column + 1 + wide > 118 {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += wide;
    }
    out
}

/// `docs/scenarios.md`, from the heads of all scenarios.
fn index() -> Result<String, Vec<String>> {
    let (heads, complaints): (Vec<_>, Vec<_>) =
        files("scenarios").iter().map(|file| head(file)).partition(Result::is_ok);
    let complaints: Vec<String> = complaints.into_iter().filter_map(Result::err).collect();
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let mut groups: BTreeMap<String, Vec<Head>> = BTreeMap::new();
    for head in heads.into_iter().flatten() {
        groups.entry(head.group.clone()).or_default().push(head);
    }
    let total: usize = groups.values().map(Vec::len).sum();
    let intro = format!(
        "{total} stories that [the simulator](simulator.md) plays at every change, with what came of each: the file of \
         that name in `tests/scenarios`. In brackets is where a story comes from: a fault (F) or an invariant (S, L) of \
         the design, evidence (E1, E2, E3, E7), or another project in which it went wrong. This page is made from the \
         heads of the files: `BLESS=1 cargo test -p tests --test scenarios`."
    );
    let mut page = format!("# Scenarios\n\n{}\n", wrapped(&intro, ""));
    for (group, heads) in groups {
        page.push_str(&format!("\n## {group}\n\n"));
        for Head { name, text, source, .. } in heads {
            let entry = format!("- **{name}**: {text} ({source})");
            page.push_str(&wrapped(&entry, "  "));
            page.push('\n');
        }
    }
    Ok(page)
}

#[test]
fn the_index_of_scenarios_is_what_their_heads_say() {
    let page = index().unwrap_or_else(|complaints| panic!("\n{}\n", complaints.join("\n")));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let is = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(is == page, "docs/scenarios.md is stale: BLESS=1 cargo test -p tests --test scenarios");
}
