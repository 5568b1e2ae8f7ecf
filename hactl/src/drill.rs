//! `hactl drill`: fences an empty node for real, to see whether fencing works.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use api::{Incident, Request, State};

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
pub fn outcome(state: &State, node: &str, look: Look) -> Option<Outcome> {
    let incident = state.incidents.iter().filter(|i| i.node == node && i.drill.is_some());
    let incident = incident.max_by_key(|incident| incident.id)?;
    let drill = incident.drill.as_ref()?;
    let over = |states: &[&str]| states.contains(&incident.state.as_str());
    if incident.state == "fencing" {
        return None;
    }
    let known = state.nodes.iter().find(|known| known.name == node)?;
    let test = known.watchdog_test.as_ref().filter(|test| test.boot == incident.boot);
    let (works, said) = if over(&["cancelled", "closed"]) {
        (false, "it was given up: hactl check says why".to_owned())
    } else if drill.what == "watchdog" {
        match test {
            Some(test) if test.fired => (
                true,
                format!(
                    "its watchdog fired {:.1} s after the intent; that is on record",
                    test.took_s
                ),
            ),
            Some(_) => (false, "its watchdog did not fire".to_owned()),
            None if over(&["fenced", "forced_down", "evacuating", "recovered"]) => return None,
            None => (false, "nothing shows that it was its watchdog that reset it".to_owned()),
        }
    } else {
        let evidence = incident.evidence.as_deref().unwrap_or("nothing");
        let works = evidence.starts_with("E1") || evidence.starts_with("E5");
        let said = if works {
            format!(
                "its BMC proved it off ({evidence}); switch it on again, it comes back by itself"
            )
        } else {
            format!("its BMC did not prove it off; what did is {evidence}")
        };
        (works, said)
    };
    Some(page(incident, works, &said, look))
}

fn page(incident: &Incident, works: bool, said: &str, look: Look) -> Outcome {
    let mut out = incidents::timeline(incident, look, 0);
    let (tone, word) = if works { (Tone::Good, "works") } else { (Tone::Bad, "FAILED") };
    let _ = writeln!(out, "\n{}: {}: {said}", incident.node, look.paint(tone, word));
    Outcome::fine(out).exit(if works { Exit::Fine } else { Exit::Failed })
}
