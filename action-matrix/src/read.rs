//! From text to rows: TOML, keys, types, words, and what a row may say by itself.

mod actions;
mod row;
mod syntax;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;
use crate::problem::{Problems, Text};
use crate::row::Row;
use crate::rule::Rule;
use crate::{MAX_BYTES, MAX_CHECKS, MAX_NETWORKS, MAX_ROWS};

/// What a file says once each row makes sense by itself.
pub(crate) struct Draft {
    pub(crate) networks: Vec<String>,
    pub(crate) checks: Vec<String>,
    pub(crate) rows: Vec<DraftRow>,
    /// Where a problem of the whole file is shown: its last row.
    pub(crate) end: Range<usize>,
}

/// A row and its place.
pub(crate) struct DraftRow {
    pub(crate) row: Row,
    /// The value of `name`.
    pub(crate) name_at: Range<usize>,
    /// The value of `actions`.
    pub(crate) actions_at: Range<usize>,
}

/// The keys at the top of the file.
const TOP_KEYS: [&str; 3] = ["networks", "checks", "row"];
/// The keys that every row has.
const ROW_KEYS: [&str; 4] = ["name", "settle", "actions", "reason"];
/// What the networks are called where the file does not say.
const DEFAULT_NETWORKS: [&str; 3] = ["management", "storage", "tenant"];

const ROW_SHAPE: &str = "a row looks like this:
[[row]]
name = \"storage down\"
storage = \"down\"
settle = \"5s\"
actions = [\"fence\", \"evacuate\"]
reason = \"its VMs cannot write\"";

/// Reads all rows. `None` if a row could not be read to its end, so that a proof over the rows
/// would only repeat the problem in other words.
pub(crate) fn read(text: &Text, problems: &mut Problems) -> Option<Draft> {
    if text.text().len() > MAX_BYTES {
        let message = format!("a matrix has at most {} KiB of text", MAX_BYTES / 1024);
        problems
            .error(Rule::TooLarge, 0..0, message, "")
            .remedy("merge rows that say the same, and keep long comments elsewhere");
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text.text());
    if !errors.is_empty() {
        syntax::report(text, &errors, problems);
        return None;
    }
    top(table.get_ref(), problems)
}

fn top(table: &DeTable<'_>, problems: &mut Problems) -> Option<Draft> {
    let keys = in_order(table);
    let mut unknown_keys = false;
    for (key, _) in &keys {
        if !TOP_KEYS.contains(&&**key.get_ref()) {
            unknown_top_key(key, problems);
            unknown_keys = true;
        }
    }
    let value = |name: &str| keys.iter().find(|(key, _)| key.get_ref() == name).map(|(_, v)| *v);
    let networks = match value("networks") {
        Some(value) => names("networks", value, 1..=MAX_NETWORKS, problems),
        None => Some(DEFAULT_NETWORKS.map(str::to_owned).to_vec()),
    };
    let checks = match value("checks") {
        Some(value) => names("checks", value, 0..=MAX_CHECKS, problems),
        None => Some(Vec::new()),
    };
    if let (Some(networks), Some(checks), Some(at)) = (&networks, &checks, value("checks")) {
        for check in checks.iter().filter(|check| networks.contains(check)) {
            let message = format!("`{check}` is both a network and a check");
            problems
                .error(
                    Rule::DuplicateName,
                    at.span(),
                    message,
                    "a row could not say which it means",
                )
                .remedy(format!("give the check another name, such as \"{check}_check\""));
        }
    }
    let Some(rows) = value("row") else {
        // A misspelt `row` has been reported as an unknown key.
        if !unknown_keys {
            let message = "the matrix has no row";
            problems.error(Rule::MissingKey, 0..0, message, "").remedy(ROW_SHAPE);
        }
        return None;
    };
    let tables = row_tables(rows, problems)?;
    // With the names in doubt no key of a row could be judged.
    let (networks, checks) = (networks?, checks?);
    let read = |(at, table): &(Range<usize>, &DeTable<'_>), problems: &mut Problems| {
        row::read(table, at, &networks, &checks, problems)
    };
    let drafts: Vec<Option<DraftRow>> = tables.iter().map(|t| read(t, problems)).collect();
    let rows = drafts.into_iter().collect::<Option<Vec<_>>>()?;
    duplicate_rows(&rows, problems);
    if unknown_keys {
        return None;
    }
    let end = rows.last()?.name_at.clone();
    Some(Draft { networks, checks, rows, end })
}

fn unknown_top_key(key: &Spanned<std::borrow::Cow<'_, str>>, problems: &mut Problems) {
    let name = key.get_ref();
    let message = format!("unknown key `{}`", name.escape_debug());
    let problem = problems.error(Rule::UnknownKey, key.span(), message, "");
    if ROW_KEYS.contains(&&**name) {
        problem.remedy("it belongs to a row: write it below a line `[[row]]`");
    } else if let Some(near) = nearest(name, TOP_KEYS) {
        let near = if near == "row" { "[[row]]" } else { near };
        problem.remedy(format!("did you mean `{near}`?"));
    } else {
        problem.remedy("a matrix has `networks`, `checks` and then its rows, each below `[[row]]`");
    }
}

/// The tables of `[[row]]`, each with its place.
fn row_tables<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
    problems: &mut Problems,
) -> Option<Vec<(Range<usize>, &'a DeTable<'i>)>> {
    let wrong = |at: Range<usize>, problems: &mut Problems| {
        let label = "a matrix may have many rows";
        problems
            .error(Rule::WrongType, at, "`row` is a list of tables", label)
            .remedy("write `[[row]]`, with two brackets, above each row");
    };
    let Some(list) = value.get_ref().as_array() else {
        wrong(value.span(), problems);
        return None;
    };
    if list.len() > MAX_ROWS {
        let message = format!("{} rows; a matrix has at most {MAX_ROWS}", list.len());
        let at = list.get(MAX_ROWS).map_or(0..0, Spanned::span);
        problems
            .error(Rule::TooLarge, at, message, "the first row too many")
            .remedy("leave out what a row need not speak of: a network not mentioned is `any`");
        return None;
    }
    if list.is_empty() {
        let message = "the matrix has no row";
        problems.error(Rule::MissingKey, value.span(), message, "").remedy(ROW_SHAPE);
        return None;
    }
    let mut tables = Vec::new();
    for element in list.iter() {
        match element.get_ref().as_table() {
            Some(table) => tables.push((element.span(), table)),
            None => {
                wrong(element.span(), problems);
                return None;
            }
        }
    }
    Some(tables)
}

/// The names of the networks or of the checks.
fn names(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    size: std::ops::RangeInclusive<usize>,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let example = if key == "checks" { "checks = [\"disk\"]" } else { "networks = [\"storage\"]" };
    let list = value::texts(key, example, value, problems)?;
    if !size.contains(&list.len()) {
        let (least, most) = (size.start(), size.end());
        let message = format!("{} {key}; a matrix has {least} to {most}", list.len());
        let problem = problems.error(Rule::ListSize, value.span(), message, "");
        if list.is_empty() {
            problem.remedy("name one, or leave the key out for management, storage and tenant");
        } else {
            problem.remedy(format!("keep the {most} that a decision depends on"));
        }
        return None;
    }
    let mut good = true;
    let mut seen = BTreeMap::new();
    for (name, at) in &list {
        if !is_name(name) || ROW_KEYS.contains(&name.as_str()) {
            let message = format!("`{}` cannot be a name in `{key}`", name.escape_debug());
            let label =
                if is_name(name) { "rows have a key of this name" } else { "not a plain word" };
            problems.error(Rule::BadName, at.clone(), message, label).remedy(
                "use up to 32 lower-case letters, digits, `-` and `_`, beginning with a letter, \
                 and none of name, settle, actions, reason",
            );
            good = false;
        } else if let Some(first) = seen.insert(name, at.clone()) {
            let message = format!("`{name}` is twice in `{key}`");
            problems
                .error(Rule::DuplicateName, at.clone(), message, "again")
                .also(first, "the first one")
                .remedy("remove one of them");
            good = false;
        }
    }
    good.then(|| list.into_iter().map(|(name, _)| name).collect())
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
}

fn duplicate_rows(rows: &[DraftRow], problems: &mut Problems) {
    let mut seen: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for draft in rows {
        let name = draft.row.name();
        match seen.get(name) {
            Some(first) => {
                let message = format!("two rows are called \"{name}\"");
                problems
                    .error(Rule::DuplicateName, draft.name_at.clone(), message, "again")
                    .also(first.clone(), "the first one")
                    .remedy("rename one: logs and incidents name the row that decided");
            }
            None => {
                seen.insert(name, draft.name_at.clone());
            }
        }
    }
}

/// A table's keys in the order of the text.
fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    keys
}
