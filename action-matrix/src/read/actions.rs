//! The list of actions of one row.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::value;
use crate::action::{Action, join};
use crate::nearest::nearest;
use crate::problem::Problems;
use crate::rule::Rule;

/// Reads the list and says what contradicts itself in it; `None` if it is not one of actions.
pub(super) fn read(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Vec<Action>> {
    let words = value::texts("actions", "actions = [\"notify\"]", value, problems)?;
    if words.is_empty() {
        problems
            .error(Rule::NoActions, value.span(), "a row without actions", "")
            .remedy("say that nothing is to be done: actions = [\"none\"]");
        return None;
    }
    let mut list = Vec::new();
    let mut good = true;
    for (word, at) in words {
        match Action::from_word(&word) {
            Some(action) => list.push((action, at)),
            None => {
                unknown_word(&word, at, problems);
                good = false;
            }
        }
    }
    if !good {
        return None;
    }
    contradictions(&list, problems);
    Some(list.into_iter().map(|(action, _)| action).collect())
}

fn unknown_word(word: &str, at: Range<usize>, problems: &mut Problems) {
    let message = format!("there is no action \"{}\"", word.escape_debug());
    let problem = problems.error(Rule::UnknownWord, at, message, "");
    match nearest(word, Action::ALL.map(Action::word)).or_else(|| synonym(word)) {
        Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
        None => problem.remedy(format!("the actions are {}", join(&Action::ALL))),
    };
}

/// What other programs call them.
fn synonym(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "email" | "mail" | "alert" | "page" => Some("notify"),
        "off" | "poweroff" | "power_off" | "stonith" | "ipmi" | "isolate" => Some("fence"),
        "recovery" | "recover" | "rebuild" => Some("evacuate"),
        "drain" | "live-migrate" | "live_migrate" => Some("migrate"),
        "ignore" | "nothing" | "noop" => Some("none"),
        _ => None,
    }
}

fn contradictions(list: &[(Action, Range<usize>)], problems: &mut Problems) {
    let find = |wanted: Action| list.iter().position(|(action, _)| *action == wanted);
    for (i, (action, at)) in list.iter().enumerate() {
        if let Some(first) = list[..i].iter().find(|(earlier, _)| earlier == action) {
            let message = format!("`{action}` twice in one row");
            problems
                .error(Rule::DuplicateAction, at.clone(), message, "again")
                .also(first.1.clone(), "the first one")
                .remedy("remove one of them");
        }
    }
    let acts = list.iter().any(|(action, _)| *action != Action::None);
    if let Some(none) = find(Action::None).filter(|_| acts) {
        let message = "`none` beside another action";
        problems
            .error(Rule::NoneWithOthers, list[none].1.clone(), message, "does this row act or not?")
            .remedy("remove \"none\", or all the others");
    }
    if let Some(evacuate) = find(Action::Evacuate) {
        evacuate_follows_fence(list, evacuate, find(Action::Fence), problems);
    }
    if let (Some(migrate), Some(fence)) = (find(Action::Migrate), find(Action::Fence)) {
        problems
            .error(
                Rule::MigrateWithFence,
                list[migrate].1.clone(),
                "`migrate` in a row that fences",
                "needs a node that works",
            )
            .also(list[fence].1.clone(), "switches it off")
            .remedy("a node that works: remove \"fence\" and what follows from it")
            .remedy(
                "a node that does not: remove \"migrate\", and use \"evacuate\" after \"fence\"",
            );
    }
}

fn evacuate_follows_fence(
    list: &[(Action, Range<usize>)],
    evacuate: usize,
    fence: Option<usize>,
    problems: &mut Problems,
) {
    let at = list[evacuate].1.clone();
    match fence {
        Some(fence) if fence < evacuate => {}
        Some(fence) => {
            problems
                .error(Rule::EvacuateWithoutFence, at, "`evacuate` before `fence`", "")
                .also(list[fence].1.clone(), "only now would the node be off")
                .remedy("swap them: the list is worked off from left to right");
        }
        None => {
            let label = "each VM could then run twice and write the same disk";
            let kept = list.iter().map(|(action, _)| *action).filter(|action| match action {
                Action::Notify | Action::Disable => true,
                Action::None | Action::Migrate | Action::Fence | Action::Evacuate => false,
            });
            let fixed: Vec<_> = kept
                .chain([Action::Fence, Action::Evacuate])
                .map(|action| format!("\"{action}\""))
                .collect();
            problems
                .error(Rule::EvacuateWithoutFence, at, "`evacuate` without `fence`", label)
                .remedy(format!("fence first: actions = [{}]", fixed.join(", ")))
                .remedy("or \"migrate\", if the node works and only has to be emptied");
        }
    }
}
