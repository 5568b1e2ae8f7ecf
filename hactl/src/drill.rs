//! `hactl drill`: fences an empty node for real, to see whether fencing works.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use api::{Incident, Request, State, WatchdogTest};

use crate::incidents;
use crate::orders::{Person, who};
use crate::outcome::{Exit, Outcome};
use crate::run::Shell;
use crate::table::{Look, Tone};
use crate::terminal::Terminal;

const MORE: &str = "\
Examples:
  openstack compute service set --disable compute-7 nova-compute     and move its VMs away
  hactl drill node-7                 is it switched off, and does its BMC prove it
  hactl drill node-7 --watchdog      does its watchdog fire; its BMC is left alone

Exit codes: 0 it works, 1 refused or it does not work, 2 usage, 3 no controller answers.";

/// Fence an empty node for real, to see whether it works.
///
/// The node must be disabled in Nova and empty, as Nova and its own agent see it; no incident may be open, no guard may refuse,
/// and maintenance must be lifted, for it means hands off without exception. Then the node is fenced as if it had failed, and
/// each phase is told with its time. Without --watchdog its BMC switches it off, and somebody must switch it on again. With
/// --watchdog its sentinel stops feeding and its watchdog must reset it: that is put on record, and without that record its
/// lease is no evidence (unless the controllers are configured otherwise). It counts as a fence for budget and quarantine, and
/// until the node is proved off no other fence begins in a small cluster.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// The node.
    #[arg(value_name = "NODE")]
    pub node: String,

    /// Let its watchdog fire; leave its BMC alone.
    #[arg(long)]
    pub watchdog: bool,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,

    /// Wait no longer than this for the outcome; the drill goes on without.
    #[arg(long, value_name = "TIME", default_value = "15min", value_parser = humantime::parse_duration)]
    pub wait: Duration,

    /// Who.
    #[command(flatten)]
    pub person: Person,
}

/// How often the controllers are asked how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: Args, shell: &Shell, terminal: &mut Terminal) -> Outcome {
    let person = match who(&args.person, terminal) {
        Ok(person) => person,
        Err(outcome) => return outcome,
    };
    let Args { node, watchdog, yes, wait, .. } = args;
    let how = if watchdog { "reset by its watchdog" } else { "powered off by its BMC" };
    let agreed = match terminal.ask.as_mut() {
        _ if yes => true,
        Some(ask) => {
            let question = format!("{node} will be {how}. Begin the drill? [y/N] ");
            matches!(ask.ask(&question).as_deref(), Some("y" | "Y" | "yes"))
        }
        None => {
            let why = "nobody can be asked here: add --yes if you mean it";
            return Outcome::failed(Exit::Usage, why);
        }
    };
    if !agreed {
        return Outcome::failed(Exit::Failed, "not agreed to; nothing was ordered");
    }
    let request = Request::Drill { node: node.clone(), watchdog, person };
    let begun = shell.order(&request).await;
    if begun.exit != Exit::Fine {
        return begun;
    }
    let until = Instant::now() + wait;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // A leader that has just changed answers a moment later.
        if let Ok(picture) = shell.picture().await
            && let Some(outcome) = outcome(&picture.state, &node, terminal.look)
        {
            return outcome;
        }
        if Instant::now() >= until {
            let why =
                format!("the drill of {node} is not over yet: follow it with hactl incidents");
            return Outcome { out: begun.out, ..Outcome::failed(Exit::Failed, why) };
        }
    }
}

/// What came of the newest drill of a node; `None` while it is not known.
fn outcome(state: &State, node: &str, look: Look) -> Option<Outcome> {
    let incidents = state.incidents.iter().filter(|i| i.node == node && i.drill.is_some());
    let incident = incidents.max_by_key(|incident| incident.id)?;
    let known = state.nodes.iter().find(|known| known.name == node);
    let test = known.and_then(|known| known.watchdog_test.as_ref());
    let (works, said) = judged(incident, test.filter(|test| test.boot == incident.boot))?;
    Some(page(incident, works, &said, look))
}

/// Whether it works, and a sentence; `None` while nobody can say.
fn judged(incident: &Incident, test: Option<&WatchdogTest>) -> Option<(bool, String)> {
    let drill = incident.drill.as_ref()?;
    let evidence = incident.evidence.as_deref();
    match (incident.state.as_str(), drill.what.as_str(), test) {
        ("fencing", ..) => None,
        (_, "watchdog", Some(test)) if test.fired => {
            let took = test.took_s;
            Some((
                true,
                format!("its watchdog fired {took:.1} s after the intent; that is on record"),
            ))
        }
        (_, "watchdog", Some(_)) => Some((false, "its watchdog did not fire".to_owned())),
        ("cancelled" | "closed", ..) => {
            Some((false, "it was given up: hactl check says why".to_owned()))
        }
        ("fenced" | "forced_down" | "evacuating" | "recovered", "watchdog", None) => None,
        (_, "watchdog", None) => {
            Some((false, "nothing shows that it was its watchdog that reset it".to_owned()))
        }
        _ => Some(by_bmc(evidence.unwrap_or("nothing"))),
    }
}

fn by_bmc(evidence: &str) -> (bool, String) {
    if ["E1", "E5", "E6"].iter().any(|class| evidence.starts_with(class)) {
        let next = "switch it on again, it comes back by itself";
        return (true, format!("its BMC proved it off ({evidence}); {next}"));
    }
    (false, format!("its BMC did not prove it off; what did is {evidence}"))
}

fn page(incident: &Incident, works: bool, said: &str, look: Look) -> Outcome {
    let mut out = incidents::timeline(incident, look, 0);
    let (tone, word) = if works { (Tone::Good, "works") } else { (Tone::Bad, "FAILED") };
    let _ = writeln!(out, "\n{}: {}: {said}", incident.node, look.paint(tone, word));
    Outcome::fine(out).exit(if works { Exit::Fine } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use api::{Drill, Phase};
    use uuid::Uuid;

    use super::*;

    fn incident(what: &str, state: &str, evidence: Option<&str>) -> Incident {
        let phase = |state: &str, at_ms| Phase { state: state.to_owned(), at_ms, index: 7 };
        Incident {
            id: 3,
            node: "node-7".to_owned(),
            boot: Uuid::from_u128(1),
            state: state.to_owned(),
            open: true,
            blocked: None,
            hold: None,
            row: "drill by ann".to_owned(),
            reason: String::new(),
            actions: Vec::new(),
            reachability: "mst".to_owned(),
            observations: Vec::new(),
            guards: Vec::new(),
            host: String::new(),
            note: String::new(),
            evidence: evidence.map(str::to_owned),
            drill: Some(Drill { what: what.to_owned(), ordered_ms: 1_000 }),
            steps: vec![api::Step { what: "off asked".to_owned(), at_ms: 1_400 }],
            phases: vec![phase("fencing", 1_300), phase("fenced", 5_000)],
            vms: Vec::new(),
        }
    }

    fn test(fired: bool) -> WatchdogTest {
        let (boot, class) = (Uuid::from_u128(1), "hardware".to_owned());
        WatchdogTest { boot, at_ms: 0, fired, took_s: 7.6, class }
    }

    #[test]
    fn a_drill_of_a_bmc_works_only_by_its_evidence() {
        let works = |state, evidence| judged(&incident("bmc", state, evidence), None);
        assert_eq!(works("fencing", None), None);
        assert!(works("fenced", Some("E1 bmc: two reads off")).expect("known").0);
        assert!(works("recovered", Some("E5 all 2 outlets")).expect("known").0);
        let (works, said) = works("fenced", Some("E3 new boot")).expect("known");
        assert!(!works && said.ends_with("what did is E3 new boot"), "{said}");
    }

    #[test]
    fn a_drill_of_a_watchdog_works_only_by_its_record() {
        let of = |state, test: Option<&WatchdogTest>| {
            judged(&incident("watchdog", state, Some("E3 new boot")), test).map(|(works, _)| works)
        };
        assert_eq!(of("fencing", None), None);
        assert_eq!(of("recovered", None), None, "it may still be put on record");
        assert_eq!(of("recovered", Some(&test(true))), Some(true));
        assert_eq!(of("cancelled", Some(&test(false))), Some(false));
        assert_eq!(of("returned", None), Some(false));
    }

    #[test]
    fn each_phase_is_told_with_its_time_from_the_order_on() {
        let incident = incident("bmc", "fenced", Some("E1 bmc: two reads off"));
        let look = Look { colour: false, width: None };
        let page = page(&incident, true, "its BMC proved it off", look).out;
        let total = |what: &str| {
            let line = page.lines().find(|line| line.starts_with(what)).expect("a row");
            line.split_whitespace().rev().nth(2).expect("a total").to_owned()
        };
        assert_eq!(total("ordered"), "0.000");
        assert_eq!(total("fencing"), "0.300");
        assert_eq!(total("off asked"), "0.400");
        assert_eq!(total("fenced"), "4.000");
        assert!(page.ends_with("node-7: works: its BMC proved it off\n"), "{page}");
    }
}
