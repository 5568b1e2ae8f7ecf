//! Bad matrices and the words that their authors read: each `bad/*.toml` is refused with exactly
//! the text of its `.expected`. `BLESS=1` rewrites those; read them as their user would.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "files and clocks are banned from cores, not tests")]

use std::path::{Path, PathBuf};

use action_matrix::{Matrix, Rule, Severity};

fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut texts: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    texts.sort();
    assert!(!texts.is_empty(), "{} is empty", folder.display());
    texts
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_bad_matrix_is_refused_in_the_agreed_words() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (path, text) in texts("bad") {
        let problems = match Matrix::parse(file_name(&path), &text) {
            Ok(_) => panic!("{} was loaded", path.display()),
            Err(problems) => problems,
        };
        let expected = path.with_extension("expected");
        let shown = problems.render(false);
        if bless {
            std::fs::write(&expected, &shown).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "not as agreed (BLESS=1 accepts):\n{}", wrong.join("\n"));
}

#[test]
fn every_problem_of_a_bad_matrix_has_a_place_and_a_remedy() {
    for (path, text) in texts("bad") {
        let problems = Matrix::parse(file_name(&path), &text).unwrap_err();
        assert!(problems.iter().any(|problem| problem.severity() == Severity::Error));
        for problem in problems.iter() {
            let shown = problem.render(false);
            assert!(!problem.remedies().is_empty(), "no remedy: {shown}");
            let place = format!("{}:{}:{}", file_name(&path), problem.line(), problem.column());
            assert!(shown.contains(&place), "not at {place}: {shown}");
            assert!(!shown.contains('\u{1b}'), "colour without being asked: {shown}");
            assert!(problem.render(true).contains('\u{1b}'), "no colour: {shown}");
        }
    }
}

#[test]
fn every_good_matrix_is_loaded_and_its_text_kept() {
    for (path, text) in texts("good") {
        let loaded = match Matrix::parse(file_name(&path), &text) {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{problems}"),
        };
        assert_eq!(loaded.warnings, [], "{}", path.display());
        assert_eq!(loaded.matrix.source(), text);
    }
}

#[test]
fn every_rule_is_shown_by_a_bad_matrix_and_has_its_paragraph_in_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/matrix.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut shown = Vec::new();
    for (path, text) in texts("bad") {
        let problems = Matrix::parse(file_name(&path), &text).unwrap_err();
        shown.extend(problems.iter().map(|problem| problem.rule()));
    }
    for rule in Rule::ALL {
        assert!(page.contains(&format!("`{}`", rule.slug())), "{} is not in docs", rule.slug());
        // A file of 64 KiB is made in limits.rs, not kept.
        if *rule != Rule::TooLarge {
            assert!(shown.contains(rule), "{} is shown by no bad matrix", rule.slug());
        }
    }
}
