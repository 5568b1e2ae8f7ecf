//! Documents speak of what exists: their links lead somewhere, and the code that they name in
//! backticks is there.

use std::collections::BTreeSet;

use crate::{Text, refuse, root, texts};

fn pages() -> Vec<Text> {
    texts("").into_iter().filter(|text| text.path.ends_with(".md")).collect()
}

/// Targets of a page's `[text](target)` links, without anchors and without other sites.
fn links(content: &str) -> impl Iterator<Item = &str> {
    content
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

/// The words that a page sets in backticks, outside of code blocks.
fn code_words(content: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut in_block = false;
    for line in content.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block && !line.starts_with("    ") {
            words.extend(line.split('`').skip(1).step_by(2));
        }
    }
    words
}

#[test]
fn every_link_between_pages_leads_to_a_file() {
    let mut complaints = Vec::new();
    for page in pages() {
        let path = root().join(&page.path);
        let directory = path.parent().unwrap();
        for target in links(&page.content) {
            if !directory.join(target).exists() {
                complaints.push(format!("{}: links to {target}, which is not there", page.path));
            }
        }
    }
    refuse(&complaints);
}

#[test]
fn every_page_of_the_book_stands_in_its_summary() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<&str> = links(&summary).collect();
    let complaints: Vec<String> = pages()
        .iter()
        .filter_map(|page| page.path.strip_prefix("docs/"))
        .filter(|path| *path != "SUMMARY.md" && !listed.contains(path))
        .map(|path| format!("docs/{path} is missing in docs/SUMMARY.md"))
        .collect();
    refuse(&complaints);
}

#[test]
fn every_file_that_a_page_names_exists() {
    let mut complaints = Vec::new();
    for page in pages() {
        for word in code_words(&page.content) {
            let path = word.split(':').next().unwrap_or_default();
            if is_path_of_ours(path) && !root().join(path).exists() {
                complaints.push(format!("{}: names {path}, which is not there", page.path));
            }
        }
    }
    refuse(&complaints);
}

/// A path from the workspace's root without placeholders: its first part exists there, and no
/// letter but a file name's is in it.
fn is_path_of_ours(word: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let Some((first, rest)) = word.split_once('/') else { return false };
    // What is built is not there before it is built.
    let built = first == "target" || first.is_empty();
    !rest.is_empty() && !built && word.chars().all(plain) && root().join(first).is_dir()
}

#[test]
fn every_item_that_a_page_names_by_its_path_exists() {
    let code: Vec<Text> = texts("").into_iter().filter(|text| text.path.ends_with(".rs")).collect();
    let mut complaints = Vec::new();
    for page in pages().iter().filter(|page| page.path.starts_with("docs/")) {
        for word in code_words(&page.content) {
            let word = word.trim_end_matches("()");
            if let Some(name) = item_of_ours(word)
                && !code.iter().any(|text| defines(&text.content, name))
            {
                complaints.push(format!("{}: names {word}; nothing is called {name}", page.path));
            }
        }
    }
    refuse(&complaints);
}

/// The last part of `crate::module::item`, when the first is a crate of ours.
fn item_of_ours(word: &str) -> Option<&str> {
    let (first, _) = word.split_once("::")?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let ours = root().join(first.replace('_', "-")).join("Cargo.toml").exists();
    if !ours || !word.chars().all(plain) {
        return None;
    }
    word.rsplit("::").next().filter(|name| !name.is_empty())
}

/// Whether a file defines an item, or has a variant or a field, of this name.
fn defines(content: &str, name: &str) -> bool {
    content.lines().any(|line| {
        let line = line.trim_start();
        let comment = line.starts_with("//");
        let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        !comment && !line.starts_with("use ") && words.any(|word| word == name)
    })
}
