//! What is not TOML.

use crate::problem::{Problems, Text};
use crate::rule::Rule;

/// Reports what the parser did not understand, in our words where the mistake is a common one.
pub(super) fn report(text: &Text, errors: &[toml::de::Error], problems: &mut Problems) {
    // After a few the parser has lost its place.
    const SHOWN: usize = 10;
    for error in errors.iter().take(SHOWN) {
        let at = error.span().unwrap_or(0..0);
        let line = line_of(text.text(), at.start);
        let word = text.text().get(at.clone()).unwrap_or_default();
        let (message, remedy) = mistake(line, word, error.message());
        problems.error(Rule::Syntax, at, format!("not TOML: {message}"), "").remedy(remedy);
    }
}

fn line_of(text: &str, at: usize) -> &str {
    let (before, after) = text.split_at(text.floor_char_boundary(at));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| before.len() + newline);
    text[start..end].trim()
}

/// What went wrong and what to do about it, told by the line, the offending word in it and what
/// the parser says. The parser's words are for those who know its grammar.
fn mistake(line: &str, word: &str, told: &str) -> (String, String) {
    if told.contains("duplicate key") {
        let remedy = "a key may stand once in a row: remove one, or begin a new row with `[[row]]`";
        return ("a key given twice".to_owned(), remedy.to_owned());
    }
    if line.starts_with('[') {
        let remedy = "a row begins with a line `[[row]]`, and nothing else on it";
        return (told.to_owned(), remedy.to_owned());
    }
    if line.matches('"').count() % 2 == 1 {
        return ("quotes that are not closed".to_owned(), "close the quotes".to_owned());
    }
    match line.split_once('=') {
        Some((key, value)) if is_bare(word) => {
            let key = key.trim();
            let whole = value.trim() == word;
            let fixed = if whole { format!("{key} = \"{word}\"") } else { format!("\"{word}\"") };
            ("a text without its quotes".to_owned(), format!("put it in quotes: {fixed}"))
        }
        Some((key, value)) if value.trim_start().starts_with('[') => {
            let list = format!("{} = [\"one\", \"two\"]", key.trim());
            (told.to_owned(), format!("a list has brackets, quotes and commas: {list}"))
        }
        Some(_) | None => {
            let remedy = "a line is `key = \"value\"`, `[[row]]` or, after a `#`, a comment";
            (told.to_owned(), remedy.to_owned())
        }
    }
}

fn is_bare(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && word.contains(|c: char| c.is_ascii_alphabetic())
}
