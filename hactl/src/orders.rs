//! `hactl fence`, `maintenance`, `disarm`, `arm` and `noop`: orders to the controllers.

use api::{Request, Scope};
use clap::ValueEnum;

use crate::outcome::{Exit, Outcome};
use crate::run::Shell;
use crate::terminal::Terminal;

/// Who orders it and why: on record for ever.
#[derive(Clone, Debug, clap::Args)]
pub struct Orderer {
    /// Why, for those who read the record later.
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    pub reason: String,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

/// Who orders it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Person {
    /// Who orders it [default: the user behind sudo, else the user].
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub person: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

const FENCE: &str = "\
Examples:
  hactl fence node-7 --reason 'half dead, answers but does not run VMs'
  hactl fence node-7 --yes --reason 'drill of November'          (in a script)

Exit codes: 0 the intent is committed, 1 refused, 2 usage, 3 no controller answers.
Follow it with `hactl why NODE`.";

/// Fence a node by hand and restart its VMs elsewhere.
///
/// The node is powered off, whatever runs on it, and its VMs are restarted elsewhere once it is proved off. You have looked,
/// so the guards of caution (storm, budget, quarantine, grace and so on) are passed over; quorum, noop, disarmed,
/// maintenance and in_flight still refuse. Evidence is never passed over. It does not wait for the end.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = FENCE)]
pub struct FenceArgs {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,

    /// Who says so and why.
    #[command(flatten)]
    pub orderer: Orderer,
}

const MAINTENANCE: &str = "\
Examples:
  hactl maintenance node-7 on --reason 'new firmware, until 18:00'
  hactl maintenance node-7 on --migrate --until 18:00 --reason 'new firmware'
  hactl maintenance node-7 off

Exit codes: 0 committed, 1 refused, 2 usage, 3 no controller answers.";

/// Work on one node: nobody acts on what happens to it.
///
/// While it is on, the node is not fenced and its VMs are not restarted elsewhere, also if it really fails. A fence that has
/// begun is finished. Without --migrate no VM is moved away. With a time it ends by itself.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MAINTENANCE)]
pub struct MaintenanceArgs {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// On or off.
    #[arg(value_enum)]
    pub switch: Switch,

    /// Why, for those who read the record later; needed for `on`.
    #[arg(long, value_name = "TEXT", value_parser = one_line, required_if_eq("switch", "on"))]
    pub reason: Option<String>,

    /// Disable its service in Nova and live-migrate its VMs first; follow it with `hactl incidents`. Those that cannot be
    /// live-migrated stay, and are told. When the maintenance ends, the service is enabled again.
    #[arg(long)]
    pub migrate: bool,

    /// When it ends by itself.
    #[command(flatten)]
    pub ends: Ends,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

/// When something ends by itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Ends {
    /// It ends by itself after this time, such as 2h or 45min; at most 30 days.
    #[arg(long = "for", value_name = "TIME", value_parser = minutes_of)]
    pub lasts: Option<u64>,

    /// It ends by itself then: 18:00 (UTC, today or tomorrow) or 2026-11-22T18:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    pub until: Option<String>,
}

impl Ends {
    /// Minutes from now, rounded up.
    fn minutes(&self) -> Result<Option<u64>, Outcome> {
        let Some(until) = &self.until else { return Ok(self.lasts) };
        let now = std::time::SystemTime::now();
        minutes_until(now, until).map(Some).map_err(|why| Outcome::failed(Exit::Usage, why))
    }
}

/// Longest time for which something is ordered.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

fn minutes_of(text: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(text)
        .map_err(|_| "write a number with its unit, such as 2h or 45min".to_owned())?;
    if time.is_zero() || time > LONGEST {
        return Err("it must be more than nothing and at most 30 days".to_owned());
    }
    Ok(time.as_secs().div_ceil(60).max(1))
}

fn minutes_until(now: std::time::SystemTime, text: &str) -> Result<u64, String> {
    let wrong = || format!("--until {text}: write 18:00 (UTC) or 2026-11-22T18:00:00Z");
    let day = humantime::format_rfc3339_seconds(now).to_string();
    let day = day.get(..10).ok_or_else(wrong)?;
    let at = |text: &str| humantime::parse_rfc3339(text).map_err(|_| wrong());
    let mut end = match text.split_once(':') {
        Some((hours, rest)) if hours.len() == 2 && rest.len() == 2 => {
            at(&format!("{day}T{text}:00Z"))?
        }
        _ => at(text)?,
    };
    if end <= now && text.len() == 5 {
        end += std::time::Duration::from_secs(24 * 3600);
    }
    let left = end.duration_since(now).map_err(|_| format!("--until {text} is over already"))?;
    if left > LONGEST {
        return Err(format!("--until {text} is more than 30 days away"));
    }
    Ok(left.as_secs().div_ceil(60).max(1))
}

const DISARM: &str = "\
Examples:
  hactl disarm --for 2h --reason 'core switch is replaced'
  hactl disarm node-7 node-8 --reason 'moving rack 2'
  hactl arm

Exit codes: 0 committed, 1 refused, 2 usage, 3 no controller answers.";

/// Hands off: no new fence, and no node fences itself.
///
/// For work on networks, power or the controllers. Without a name it is for all nodes. While it lasts a node that fails
/// stays as it is, with its VMs. It does not stop a fence that has begun. With a time it ends by itself, whoever leads then.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = DISARM)]
pub struct DisarmArgs {
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,

    /// When it ends by itself.
    #[command(flatten)]
    pub ends: Ends,

    /// Who says so and why.
    #[command(flatten)]
    pub orderer: Orderer,
}

const ARM: &str = "\
Examples:
  hactl arm
  hactl arm node-7

Exit codes: 0 committed, 1 refused, 2 usage, 3 no controller answers.";

/// End of a disarm.
///
/// Without a name it ends the disarm of all nodes. A node counts as armed only when its sentinel has a lease and feeds its
/// watchdog again, some seconds later: `hactl nodes` shows it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = ARM)]
pub struct ArmArgs {
    /// Only these nodes.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

const NOOP: &str = "\
Examples:
  hactl noop on
  hactl incidents      (what would have been done)
  hactl noop off

Exit codes: 0 committed, 1 refused, 2 usage, 3 no controller answers.";

/// Decide and journal, but touch nothing.
///
/// To watch a new installation or a new matrix at work before it may act: incidents are opened and told as usual, but no bmc
/// and no Nova is called. While it is on, a node that fails stays as it is.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = NOOP)]
pub struct NoopArgs {
    /// On or off.
    #[arg(value_enum)]
    pub switch: Switch,
}

/// The person who orders, or why nobody does.
pub(crate) fn who(person: &Person, terminal: &Terminal) -> Result<String, Outcome> {
    person.person.clone().or_else(|| terminal.person.clone()).ok_or_else(|| {
        Outcome::failed(Exit::Usage, "it is not known who you are: say it with --person NAME")
    })
}

pub(crate) async fn fence(args: FenceArgs, shell: &Shell, terminal: &mut Terminal) -> Outcome {
    let person = match who(&args.orderer.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let node = args.node;
    let question =
        format!("{node} will be powered off and its VMs restarted elsewhere. Fence it? [y/N] ");
    let agreed = match terminal.ask.as_mut() {
        _ if args.yes => true,
        Some(ask) => matches!(ask.ask(&question).as_deref(), Some("y" | "Y" | "yes")),
        None => {
            let why = "nobody can be asked here: add --yes if you mean it";
            return Outcome::failed(Exit::Usage, why);
        }
    };
    if !agreed {
        return Outcome::failed(Exit::Failed, "not agreed to; nothing was ordered");
    }
    shell.order(&Request::Fence { node, reason: args.orderer.reason, person }).await
}

pub(crate) async fn maintenance(
    args: MaintenanceArgs,
    shell: &Shell,
    terminal: &Terminal,
) -> Outcome {
    let person = match who(&args.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let on = args.switch == Switch::On;
    let reason = args.reason.unwrap_or_else(|| "the work is over".to_owned());
    let minutes = match args.ends.minutes() {
        Ok(minutes) => minutes,
        Err(outcome) => return outcome,
    };
    let (node, migrate) = (args.node, args.migrate);
    shell.order(&Request::Maintenance { node, on, reason, person, minutes, migrate }).await
}

pub(crate) async fn disarm(args: DisarmArgs, shell: &Shell, terminal: &Terminal) -> Outcome {
    let person = match who(&args.orderer.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let reason = args.orderer.reason;
    let minutes = match args.ends.minutes() {
        Ok(minutes) => minutes,
        Err(outcome) => return outcome,
    };
    let order = |scope| {
        let (reason, person) = (reason.clone(), person.clone());
        Request::Disarm { scope, reason, person, minutes }
    };
    one_by_one(scopes(args.nodes).into_iter().map(order).collect(), shell).await
}

pub(crate) async fn arm(args: ArmArgs, shell: &Shell, terminal: &Terminal) -> Outcome {
    let person = match who(&args.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let order = |scope| Request::Arm { scope, person: person.clone() };
    one_by_one(scopes(args.nodes).into_iter().map(order).collect(), shell).await
}

pub(crate) async fn noop(args: &NoopArgs, shell: &Shell) -> Outcome {
    shell.order(&Request::Noop { on: args.switch == Switch::On }).await
}

fn scopes(nodes: Vec<String>) -> Vec<Scope> {
    if nodes.is_empty() { vec![Scope::All] } else { nodes.into_iter().map(Scope::Node).collect() }
}

/// The first one that fails ends it; what was committed before is told.
async fn one_by_one(requests: Vec<Request>, shell: &Shell) -> Outcome {
    let mut out = String::new();
    for request in requests {
        let mut outcome = shell.order(&request).await;
        out.push_str(&outcome.out);
        if outcome.exit != Exit::Fine {
            outcome.out = out;
            return outcome;
        }
    }
    Outcome::fine(out)
}

/// A text for the record: one line, not empty, not a novel.
pub(crate) fn one_line(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("it must say something".to_owned()),
        1..=500 if text.chars().any(char::is_control) => Err("it must be one line".to_owned()),
        1..=500 => Ok(text.to_owned()),
        _ => Err("it must be at most 500 characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn until_is_the_next_such_moment() {
        // 2026-11-22T17:30:30Z.
        let now = UNIX_EPOCH + Duration::from_secs(1_795_368_630);
        assert_eq!(minutes_until(now, "18:00"), Ok(30));
        assert_eq!(minutes_until(now, "17:00"), Ok(24 * 60 - 30));
        assert_eq!(minutes_until(now, "2026-11-22T19:30:30Z"), Ok(120));
        assert!(minutes_until(now, "2026-11-22T17:00:00Z").is_err_and(|why| why.contains("over")));
        assert!(minutes_until(now, "tomorrow").is_err());
        assert_eq!((minutes_of("2h"), minutes_of("30s")), (Ok(120), Ok(1)));
        assert!(minutes_of("0s").is_err() && minutes_of("60days").is_err());
    }
}
