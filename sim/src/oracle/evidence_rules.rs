//! S3, second half.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller::registry::Incident;
use fencing::bmc::{Ask, Identity, LevelKind, Power, Reply};
use fencing::evidence::Evidence;
use fencing::{BootId, IncidentId, NodeId};

use super::Oracle;
use crate::bmc::{Behaviour, Bmc};
use crate::fact::Fact;
use crate::place::{Place, node_number};
use crate::world::World;

/// S3: evidence is what its rule says, by the BMC's own log and by the simulator's own clock.
#[derive(Debug, Default)]
pub(super) struct EvidenceRules {
    armed: BTreeMap<NodeId, BootId>,
    /// Index of the registry that was looked at last.
    seen: u64,
    /// Nodes with a BMC that was found to lie, by what was committed, until one is enrolled again.
    liars: BTreeSet<String>,
    judged: u64,
}

/// A controller's clock may run 0.03 % too fast.
const CLOCK_PERMILLE: u32 = 1;

impl Oracle for EvidenceRules {
    fn name(&self) -> &'static str {
        "evidence_rules"
    }

    fn promise(&self) -> &'static str {
        "evidence is never less than its rule demands"
    }

    fn judge(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Applied { .. } => {
                let Some(registry) = world.registry() else { return Ok(()) };
                // The other controllers apply what the first one has shown here already.
                if std::mem::replace(&mut self.seen, registry.index()) == registry.index() {
                    return Ok(());
                }
                for (id, node) in registry.nodes() {
                    if let Some(arming) = node.armed {
                        self.armed.insert(*id, arming.boot);
                    }
                }
                Ok(())
            }
            Fact::Proven { incident, .. } => {
                let Some(incident) = world.registry().and_then(|r| r.incidents().get(incident))
                else {
                    return Ok(());
                };
                self.judged += 1;
                self.judge_evidence(world, incident)
                    .map_err(|why| format!("{}: {why}", Place::Node(node_number(incident.node))))
            }
            Fact::Told { line, .. } if line.subject == "registry" => {
                let mut words = line.text.split_whitespace();
                let (name, entry) = (words.next().unwrap_or_default(), words.next());
                match entry.map(|entry| entry.trim_end_matches(':')) {
                    Some("BmcDistrusted") => {
                        self.liars.insert(name.to_owned());
                    }
                    Some("BmcEnrolled") => {
                        self.liars.remove(name);
                    }
                    Some(_) | None => {}
                }
                Ok(())
            }
            Fact::GuestStarted { .. }
            | Fact::Intended { .. }
            | Fact::Acked { .. }
            | Fact::Renewed { .. }
            | Fact::Asked { .. }
            | Fact::Vouched { .. }
            | Fact::OffArrived { .. }
            | Fact::Called { .. }
            | Fact::GateOpened { .. }
            | Fact::BmcAsked { .. }
            | Fact::Adopted { .. }
            | Fact::Obeyed { .. }
            | Fact::Ended { .. }
            | Fact::Ordered { .. }
            | Fact::Answered { .. }
            | Fact::Told { .. }
            | Fact::WriteFailed { .. }
            | Fact::Reset { .. }
            | Fact::Halted { .. }
            | Fact::Second => Ok(()),
        }
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl EvidenceRules {
    fn judge_evidence(&self, world: &World, incident: &Incident) -> Result<(), String> {
        let since = intended(world, incident.id)?;
        let number = node_number(incident.node);
        let evidence = incident.fence().and_then(|fence| fence.evidence.as_ref());
        let name = Place::Node(number).to_string();
        if evidence.is_some_and(|e| e.level() == Some(1)) && self.liars.contains(&name) {
            return Err("evidence by a BMC that was found to lie".to_owned());
        }
        match evidence {
            Some(Evidence::Bmc { level, identity, .. }) => {
                reads_of(world, number, *level, *identity, since)
            }
            Some(Evidence::Pdu { level, identity, outlets, .. }) => {
                let named = world.registry().and_then(|registry| registry.node(incident.node));
                if named.is_none_or(|node| node.kind(*level) != Some(LevelKind::Power(*outlets)))
                    || *outlets < 2
                {
                    return Err("E5 without all outlets".to_owned());
                }
                reads_of(world, number, *level, *identity, since)
            }
            Some(Evidence::Lease { .. }) => {
                if self.armed.get(&incident.node) != Some(&incident.boot) {
                    return Err("E2 for a boot that was never armed".to_owned());
                }
                let waited = world.now().saturating_sub(since);
                let times = world.plan().profile.times();
                let demanded = times.lease + times.watchdog * 33 / 10 + times.quiet + times.margin;
                if waited + demanded * CLOCK_PERMILLE / 1000 < demanded {
                    return Err(format!("E2 after {waited:?}, wL is {demanded:?}"));
                }
                Ok(())
            }
            Some(Evidence::NewBoot { boot }) => match world.node(number) {
                Some(node) if node.boot() == *boot && *boot != incident.boot => Ok(()),
                Some(_) | None => Err("E3 by a boot that is none".to_owned()),
            },
            Some(Evidence::Operator { .. }) => Ok(()),
            Some(Evidence::CrashKernel { boot }) => match world.node(number) {
                Some(node) if *boot != incident.boot || node.is_on(*boot) => {
                    Err("E4 of a boot that has not crashed".to_owned())
                }
                Some(_) | None => Ok(()),
            },
            Some(Evidence::Storage { .. }) => {
                Err("evidence that nothing in this world can give".to_owned())
            }
            None => Err("no evidence at all".to_owned()),
        }
    }
}

fn intended(world: &World, incident: IncidentId) -> Result<Duration, String> {
    world
        .ghost
        .intended
        .get(&incident)
        .copied()
        .ok_or_else(|| "Fenced before its intent".to_owned())
}

fn reads_of(
    world: &World,
    number: u16,
    level: u8,
    read: Identity,
    since: Duration,
) -> Result<(), String> {
    let bmc = world.bmc(number, level).ok_or("no such BMC")?;
    if read != bmc.own(number) {
        return Err("evidence by another BMC's identity".to_owned());
    }
    off_then_two_reads(bmc, since)?;
    // Nobody else may have read on since.
    let other = world.bmc(number, 3 - level.clamp(1, 2)).ok_or("no such BMC")?;
    let says_on = other.behaviour == Behaviour::SaysOn;
    let said = other.log.iter().any(|exchange| {
        let on = matches!(exchange.reply, Reply::Read { power: Power::On, .. });
        exchange.at >= since && exchange.ask == Ask::Read && on
    });
    if says_on && said { Err("two levels contradict each other".to_owned()) } else { Ok(()) }
}

/// By one controller: an off since the intent, then two consecutive reads off, at least 3 s and at most 30 s apart.
fn off_then_two_reads(bmc: &Bmc, since: Duration) -> Result<(), String> {
    let mut by: BTreeMap<u8, (bool, Option<Duration>)> = BTreeMap::new();
    for exchange in bmc.log.iter().filter(|exchange| exchange.at >= since) {
        let (sent, first) = by.entry(exchange.controller).or_default();
        match (exchange.ask, &exchange.reply) {
            (Ask::Off, _) => (*sent, *first) = (!exchange.cycle, None),
            (Ask::Read, Reply::Read { power: Power::Off, .. }) if *sent => match *first {
                Some(at) => {
                    let apart = exchange.at.saturating_sub(at);
                    if apart >= Duration::from_secs(3) && apart <= Duration::from_secs(30) {
                        return Ok(());
                    }
                    if apart > Duration::from_secs(30) {
                        *first = Some(exchange.at);
                    }
                }
                None => *first = Some(exchange.at),
            },
            (Ask::Read, _) => *first = None,
        }
    }
    Err(format!("E1 without an off and two reads off, 3 s apart, since {since:.3?}"))
}
