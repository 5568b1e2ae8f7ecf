//! The policy file: which VMs are moved, in which order. Read at start and on SIGHUP.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::problem::{Page, Problems, Text};
use super::table::{At, Table, parse, some, time};
use crate::policy::{LabelUse, Match, Policy, Rule, Setting, Wish};

/// Rules of a file at most: each VM of a plan is compared with each.
const MOST_RULES: usize = 1000;
/// Longest pause between two orders.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Policy {
    /// Reads a policy's text; `file` is its name, for messages.
    ///
    /// # Errors
    /// [`Problems`] with file, line and remedy: the policy in use stays.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let text = Text::new(file, text);
        let read = read(&text, &mut Page::new(&text, &mut problems));
        problems.sort();
        read.filter(|_| problems.is_empty()).ok_or(problems)
    }
}

/// Reads the file that `policy` names; what is wrong goes to `problems`.
pub(super) fn of_file(file: &At<std::path::PathBuf>, page: &mut Page<'_>) -> Option<Policy> {
    match read_file(&file.value) {
        Ok(text) => match Policy::parse(&file.value.display().to_string(), &text) {
            Ok(policy) => Some(policy),
            Err(problems) => {
                page.problems().append(problems);
                None
            }
        },
        Err(message) => {
            let remedy = "check the path, or leave `policy` out: then every VM is evacuated";
            page.error(&file.span, message, "", remedy);
            None
        }
    }
}

pub(super) fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn read(text: &std::sync::Arc<Text>, page: &mut Page<'_>) -> Option<Policy> {
    let table = parse(text, page)?;
    let mut top = Table::top(&table);
    let default = match top.table("default", "[default]", page) {
        Some(mut table) => {
            let setting = setting(&mut table, page);
            table.finish(page);
            setting
        }
        None => Setting::default(),
    };
    let rules = rules(&mut top, page);
    let waits = waits(&mut top, page);
    let (mut masakari, mut instanceha) = (LabelUse::default(), LabelUse::default());
    if let Some(mut table) = top.table("labels", "[labels]", page) {
        masakari = label(&mut table, "HA_Enabled", page);
        instanceha = label(&mut table, "evacuable", page);
        table.finish(page);
    }
    top.finish(page);
    Some(Policy { default, rules, waits, masakari, instanceha })
}

fn rules(top: &mut Table<'_>, page: &mut Page<'_>) -> Vec<Rule> {
    let tables = top.tables("rule", "[[rule]]", page);
    if let Some(table) = tables.get(MOST_RULES) {
        let message = format!("there are more than {MOST_RULES} rules");
        page.error(&table.span(), message, "", "put what belongs together into lists");
    }
    let mut rules: Vec<Rule> = Vec::new();
    for mut table in tables {
        let span = table.span();
        let name = table.read("name", "name = \"databases\"", page, some);
        let condition = condition(&mut table, page);
        let setting = setting(&mut table, page);
        table.finish(page);
        let Some(name) = name else { continue };
        if condition.is_empty() {
            let remedy = "say what it looks at, such as project = \"ID\"; what holds for all VMs goes into [default]";
            page.error(&span, format!("rule {:?} looks at nothing", name.value), "", remedy);
        }
        if setting == Setting::default() {
            let remedy = "add action = \"leave\", priority = 900, or order = 10";
            page.error(&span, format!("rule {:?} says nothing", name.value), "", remedy);
        }
        if rules.iter().any(|rule| rule.name == name.value) {
            let message = format!("there are two rules {:?}", name.value);
            page.error(&name.span, message, "", "give each its own name: `hactl` shows it");
        }
        rules.push(Rule { name: name.value, condition, setting });
    }
    rules
}

fn condition(table: &mut Table<'_>, page: &mut Page<'_>) -> Match {
    let mut list = |key: &'static str| {
        table.list(key, &format!("{key} = \"...\", or a list of such texts"), page)
    };
    let zone = list("availability_zone");
    let aggregate = list("aggregate");
    let project = list("project");
    let flavor = list("flavor");
    let image = list("image");
    let tag = list("tag");
    let metadata =
        table.texts("metadata", "metadata = { tier = \"db\" }", page).unwrap_or_default();
    Match { zone, aggregate, project, flavor, image, tag, metadata }
}

fn setting(table: &mut Table<'_>, page: &mut Page<'_>) -> Setting {
    let wish = table.read_if("action", "action = \"evacuate\"", page, |text| {
        [Wish::Evacuate, Wish::Stop, Wish::Leave]
            .into_iter()
            .find(|wish| wish.to_string() == text)
            .ok_or("there are evacuate, stop and leave")
    });
    let priority = table.number_if("priority", "priority = 500", 1..=1000, page);
    let order = table.number_if("order", "order = 100", 0..=1000, page);
    let small = |at: Option<At<u64>>| at.and_then(|at| u16::try_from(at.value).ok());
    Setting { wish: wish.map(|at| at.value), priority: small(priority), order: small(order) }
}

fn label(table: &mut Table<'_>, key: &'static str, page: &mut Page<'_>) -> LabelUse {
    let read = table.read_if(key, &format!("{key} = \"select\""), page, |text| match text {
        "off" => Ok(LabelUse::Off),
        "order" => Ok(LabelUse::Order),
        "select" => Ok(LabelUse::Select),
        _ => Err("there are off, order and select"),
    });
    read.map(|at| at.value).unwrap_or_default()
}

/// `[wait]`: after an order, before the next.
fn waits(top: &mut Table<'_>, page: &mut Page<'_>) -> BTreeMap<u16, u32> {
    let span = top.value("wait").map_or(0..0, |value| value.span());
    let texts = top.texts("wait", "[wait]", page).unwrap_or_default();
    let mut waits = BTreeMap::new();
    for (order, wait) in texts {
        let number = order.parse::<u16>().ok().filter(|order| *order <= 1000);
        let long = time(&wait).ok().filter(|wait| *wait <= LONGEST_WAIT);
        let seconds = long.and_then(|wait| u32::try_from(wait.as_secs()).ok());
        match (number, seconds) {
            (Some(order), Some(seconds)) => drop(waits.insert(order, seconds)),
            _ => page.error(
                &span,
                format!(
                    "[wait] {order} = {wait:?}: an order from 0 to 1000 and a time of at most a day"
                ),
                "",
                "write 10 = \"90s\": after the last VM of order 10 the next order waits so long",
            ),
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_policy_is_read() {
        let text = "\
[default]
action = \"evacuate\"
[[rule]]
name = \"databases\"
metadata = { tier = \"db\" }
priority = 900
order = 10
[[rule]]
name = \"batch\"
project = [\"p1\", \"p2\"]
action = \"leave\"
[wait]
10 = \"90s\"
[labels]
HA_Enabled = \"select\"
evacuable = \"off\"
";
        let policy = Policy::parse("policy.toml", text).expect("it is sound");
        assert_eq!(policy.rules.len(), 2);
        assert_eq!(policy.rules[1].condition.project, ["p1", "p2"]);
        assert_eq!(policy.waits, BTreeMap::from([(10, 90)]));
        assert_eq!((policy.masakari, policy.instanceha), (LabelUse::Select, LabelUse::Off));
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_remedy() {
        let text = "\
[[rule]]
name = \"one\"
projct = \"p1\"
action = \"evict\"
";
        let problems = Policy::parse("policy.toml", text).expect_err("it is not sound");
        let told = |line, message: &str, remedy: &str| {
            problems.iter().any(|problem| {
                problem.line() == line
                    && problem.message().contains(message)
                    && problem.remedy().contains(remedy)
            })
        };
        let all = problems.render(false);
        assert!(told(3, "unknown key `projct`", "did you mean `project`?"), "{all}");
        assert!(told(4, "there are evacuate, stop and leave", "action = "), "{all}");
    }
}
