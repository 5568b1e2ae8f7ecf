//! What no compiler checks and every reviewer would otherwise have to: who may know whom, what a
//! core may name, that documents speak of code that exists, and what may not be in a file at all.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

mod cores;
mod documents;
mod files;
mod knowledge;

/// A text file of the project.
struct Text {
    /// Its path from the workspace's root, with `/`.
    path: String,
    content: String,
}

fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Every text file below a path of the workspace, in order; none if the path does not exist.
fn texts(below: &str) -> Vec<Text> {
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn walk(path: &Path, found: &mut Vec<Text>) {
    if path.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ["target", ".git", "__pycache__"].contains(&name.as_str()) {
            return;
        }
        // What another test makes and removes meanwhile is none of the project's files.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), found);
        }
    } else if let Ok(content) = fs::read_to_string(path) {
        let path = path.strip_prefix(root()).unwrap_or(path);
        found.push(Text { path: path.to_string_lossy().into_owned(), content });
    }
}

/// Fails with all complaints at once, each on its line.
fn refuse(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
