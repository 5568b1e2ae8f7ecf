//! One `[[row]]`.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DraftRow, ROW_KEYS, TOP_KEYS, actions, in_order, value};
use crate::action::Action;
use crate::cell::{CheckState, Reach};
use crate::nearest::nearest;
use crate::problem::Problems;
use crate::row::Row;
use crate::rule::Rule;

/// The longest settle time: an answer that waits longer is none.
const MAX_SETTLE: Duration = Duration::from_secs(3600);

/// Reads a row and everything that is wrong with it; `None` if it cannot take part in the proof.
pub(super) fn read(
    table: &DeTable<'_>,
    at: &Range<usize>,
    networks: &[String],
    checks: &[String],
    problems: &mut Problems,
) -> Option<DraftRow> {
    let keys = in_order(table);
    let value = |name: &str| keys.iter().find(|(key, _)| key.get_ref() == name).map(|(_, v)| *v);
    let mut good = true;
    for (key, _) in &keys {
        let name = key.get_ref();
        let known = networks.iter().chain(checks).any(|known| known == name);
        if !known && !ROW_KEYS.contains(&&**name) {
            unknown_key(key, networks, checks, problems);
            good = false;
        }
    }
    for missing in ROW_KEYS.into_iter().filter(|key| value(key).is_none()) {
        missing_key(missing, at, value("name"), problems);
        good = false;
    }
    let wanted_networks: Vec<_> = networks
        .iter()
        .map(|name| wanted(name, value(name), &NETWORK_WORDS, Reach::from_word, problems))
        .collect();
    let wanted_checks: Vec<_> = checks
        .iter()
        .map(|name| wanted(name, value(name), &CHECK_WORDS, CheckState::from_word, problems))
        .collect();
    let name = value("name").and_then(|v| line("name", "name = \"storage down\"", v, 64, problems));
    let settle = value("settle").and_then(|v| settle(v, problems));
    let actions = value("actions").and_then(|v| actions::read(v, problems));
    let reason =
        value("reason").and_then(|v| line("reason", "reason = \"why\"", v, 1000, problems));
    let wanted_networks = wanted_networks.into_iter().collect::<Option<Vec<_>>>()?;
    let wanted_checks = wanted_checks.into_iter().collect::<Option<Vec<_>>>()?;
    let (name_at, actions_at) = (value("name")?.span(), value("actions")?.span());
    let row = Row::new(name?, wanted_networks, wanted_checks, settle?, actions?, reason?);
    if row.fences() && !unknown_fences(&row, networks, checks, &actions_at, value, problems) {
        return None;
    }
    good.then_some(DraftRow { row, name_at, actions_at })
}

const NETWORK_WORDS: [&str; 4] = ["up", "down", "unknown", "any"];
const CHECK_WORDS: [&str; 4] = ["ok", "failed", "unknown", "any"];

/// The state that a row wants of one network or check; the inner `None` is `any`.
fn wanted<T>(
    key: &str,
    value: Option<&Spanned<DeValue<'_>>>,
    words: &[&'static str],
    from_word: impl Fn(&str) -> Option<T>,
    problems: &mut Problems,
) -> Option<Option<T>> {
    let Some(value) = value else { return Some(None) };
    let word = value::text(key, &format!("{key} = \"{}\"", words[1]), value, problems)?;
    if word == "any" {
        return Some(None);
    }
    if let Some(state) = from_word(&word) {
        return Some(Some(state));
    }
    let message = format!("`{key}` cannot be \"{}\"", word.escape_debug());
    let problem = problems.error(Rule::UnknownWord, value.span(), message, "");
    match nearest(&word, words.iter().copied()).or_else(|| synonym(&word, words)) {
        Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
        None => problem.remedy(format!("write one of \"{}\"", words.join("\", \""))),
    };
    None
}

/// The other kind's word for the same thing, and the words of other programs.
fn synonym(word: &str, words: &[&'static str]) -> Option<&'static str> {
    let place = match word.to_lowercase().as_str() {
        "up" | "ok" | "good" | "passing" | "passed" | "healthy" | "true" => 0,
        "down" | "failed" | "fail" | "failing" | "critical" | "bad" | "dead" | "false" => 1,
        "?" => 2,
        "*" | "-" | "all" | "" => 3,
        _ => return None,
    };
    words.get(place).copied()
}

fn unknown_key(
    key: &Spanned<Cow<'_, str>>,
    networks: &[String],
    checks: &[String],
    problems: &mut Problems,
) {
    let name = key.get_ref();
    let message = format!("unknown key `{}` in a row", name.escape_debug());
    let problem = problems.error(Rule::UnknownKey, key.span(), message, "");
    if TOP_KEYS.contains(&&**name) {
        problem.remedy("it belongs at the top of the file, above the first `[[row]]`");
        return;
    }
    let known = || ROW_KEYS.into_iter().chain(networks.iter().chain(checks).map(String::as_str));
    if let Some(near) = nearest(name, known()) {
        problem.remedy(format!("did you mean `{near}`?"));
    } else {
        let known = known().collect::<Vec<_>>().join(", ");
        problem.remedy(format!(
            "a row has {known}; for another network or check name it in `networks` or `checks` at \
             the top of the file"
        ));
    }
}

fn missing_key(
    key: &str,
    at: &Range<usize>,
    name: Option<&Spanned<DeValue<'_>>>,
    problems: &mut Problems,
) {
    let remedy = match key {
        "name" => "add a short name that logs can show, such as name = \"storage down\"",
        "settle" => "add how long the state must hold before the actions begin: settle = \"1s\"",
        "actions" => "add what is to be done, such as actions = [\"notify\"]",
        _ => "add why, for the one who is woken by it: reason = \"its VMs cannot write\"",
    };
    let at = name.map_or_else(|| at.clone(), Spanned::span);
    problems
        .error(Rule::MissingKey, at, format!("a row without `{key}`"), "this row")
        .remedy(remedy);
}

fn settle(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Duration> {
    if let DeValue::Integer(number) = value.get_ref() {
        let remedy = format!("say of what: settle = \"{number}s\"");
        problems
            .error(Rule::BadSettle, value.span(), "a settle time without its unit", "")
            .remedy(remedy);
        return None;
    }
    let text = value::text("settle", "settle = \"1s\"", value, problems)?;
    let Ok(settle) = humantime::parse_duration(&text) else {
        let message = format!("\"{}\" is not a time", text.escape_debug());
        problems
            .error(Rule::BadSettle, value.span(), message, "")
            .remedy("write a number and its unit: \"0s\", \"500ms\", \"1s\", \"2m\"");
        return None;
    };
    if settle > MAX_SETTLE {
        let message = "a settle time is at most 1h";
        problems
            .error(Rule::BadSettle, value.span(), message, "")
            .remedy("use `notify` where people, and not a longer wait, are to decide");
        return None;
    }
    Some(settle)
}

/// A text of one line; blanks and line breaks become one blank each.
fn line(
    key: &str,
    example: &str,
    value: &Spanned<DeValue<'_>>,
    longest: usize,
    problems: &mut Problems,
) -> Option<String> {
    let text = value::text(key, example, value, problems)?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (message, remedy) = if text.is_empty() {
        (format!("`{key}` is empty"), format!("write it out: {example}"))
    } else if text.chars().count() > longest {
        let message = format!("`{key}` has more than {longest} letters");
        (message, "keep the sentence that helps at three in the morning".to_owned())
    } else if text.chars().any(garbles) {
        let message = format!("`{key}` has characters that would garble a terminal");
        (message, "remove control characters and marks of writing direction".to_owned())
    } else {
        return Some(text);
    };
    problems.error(Rule::BadText, value.span(), message, "").remedy(remedy);
    None
}

/// Characters that change how others are shown: a name goes to logs, terminals and mails.
fn garbles(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// S20: says where a row that fences asks for something unknown; true if nowhere.
fn unknown_fences<'a, 'i: 'a>(
    row: &Row,
    networks: &[String],
    checks: &[String],
    actions_at: &Range<usize>,
    value: impl Fn(&str) -> Option<&'a Spanned<DeValue<'i>>>,
    problems: &mut Problems,
) -> bool {
    let of_networks = networks
        .iter()
        .zip(row.networks())
        .filter(|(_, wanted)| **wanted == Some(Reach::Unknown))
        .map(|(name, _)| (name, "only because others cannot say"));
    let of_checks = checks
        .iter()
        .zip(row.checks())
        .filter(|(_, wanted)| **wanted == Some(CheckState::Unknown))
        .map(|(name, _)| (name, "only because nobody knows"));
    let mut good = true;
    for (name, label) in of_networks.chain(of_checks) {
        let at = value(name).map_or_else(|| actions_at.clone(), Spanned::span);
        let action = row.actions().iter().find(|action| **action >= Action::Fence);
        let action = action.copied().unwrap_or(Action::Fence);
        problems
            .error(
                Rule::UnknownFences,
                at,
                format!("`{name}` unknown would {action} the node"),
                label,
            )
            .also(actions_at.clone(), "")
            .remedy("unknown is never a reason to fence: use actions = [\"notify\"] in this row")
            .remedy(format!("or ask for a state of `{name}` that is known"));
        good = false;
    }
    good
}
