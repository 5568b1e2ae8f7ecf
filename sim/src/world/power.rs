//! Power: BMCs that switch it, watchdogs that reset, feeds that fail, and boots.

use std::time::Duration;

use fencing::BootId;
use fencing::bmc::{Ask, Identity, Reply};
use mutants::{Mutant, is_on};
use rand::RngExt;

use super::{Asker, Happening, World};
use crate::bmc::{Behaviour, Exchange, HALF_WAY};
use crate::fact::Fact;
use crate::fault::Sabotage;
use crate::node::{BOOT_TIME, Kind, Power};
use crate::place::{Place, node_id};

/// A power cycle is off for this long.
const CYCLE_PAUSE: Duration = Duration::from_secs(10);

impl World {
    /// Somebody presses the button: the node boots.
    pub fn switch_on(&mut self, number: u16) {
        let Some(node) = self.node_mut(number) else { return };
        if matches!(node.power, Power::NoFeed | Power::Off) {
            node.power = Power::Booting;
            let boots = node.boots;
            self.later(BOOT_TIME, Happening::BootDone { node: number, boots });
        }
    }

    /// The node loses its power, and with `feed` its BMC too.
    pub fn switch_off(&mut self, number: u16, feed: bool) {
        let now = self.now;
        let Some(node) = self.node_mut(number) else { return };
        node.troubled = now;
        let was_on = matches!(node.power, Power::Booting | Power::Running);
        node.lose_power(if feed { Power::NoFeed } else { Power::Off });
        if was_on {
            self.compute_lost(number);
        }
    }

    /// The node resets itself and boots again.
    pub(super) fn reset_node(&mut self, number: u16, by: &'static str, why: &str) {
        let Some(node) = self.node_mut(number).filter(|node| node.power == Power::Running) else {
            return;
        };
        let boot = node.boot();
        let adopted = node.sentinel.core.as_ref().map(|core| core.adopted());
        let armed = adopted.is_none_or(|adopted| adopted.is_armed(node_id(number), boot));
        let voters = adopted.map(|adopted| adopted.voters()).unwrap_or_default();
        node.lose_power(Power::Booting);
        let boots = node.boots;
        self.compute_lost(number);
        self.later(BOOT_TIME, Happening::BootDone { node: number, boots });
        self.ghost.resets += 1;
        self.facts.push(Fact::Reset { node: number, boot, why: why.to_owned(), voters, armed });
        self.tell(by, &format!("{} {why}", Place::Node(number)));
    }

    /// The kernel of a node hangs: programs stop, guests go on.
    pub fn hang(&mut self, number: u16) {
        let now = self.now;
        if let Some(node) = self.node_mut(number).filter(|node| node.power == Power::Running) {
            node.hung = true;
            node.troubled = now;
        }
        self.see_compute(number);
    }

    /// A kernel that hung goes on.
    pub fn unhang(&mut self, number: u16) {
        let Some(node) = self.node_mut(number).filter(|node| node.hung && !node.crashed) else {
            return;
        };
        node.hung = false;
        self.see_compute(number);
        self.resume_sentinel(number);
        self.resume_agent(number);
    }

    pub(super) fn bmc_acts(
        &mut self,
        to: Asker,
        (number, level): (u16, u8),
        ask: Ask,
        expect: Option<Identity>,
    ) {
        let now = self.now;
        let Some(node) = self.node(number) else { return };
        let (boot, power) = (node.boot(), node.power);
        let on = matches!(power, Power::Booting | Power::Running);
        let Some(bmc) = self.bmc_mut(number, level) else { return };
        if power == Power::NoFeed {
            return;
        }
        let lies = bmc.behaviour == Behaviour::Lies;
        let reply = bmc.answer(number, ask, expect, on);
        let switches = ask == Ask::Off && bmc.switches();
        let obeyed = matches!(reply, Reply::OffSent { refused: None, .. });
        let (controller, cycle) = (to.controller, ask == Ask::Off && is_on(Mutant::M20));
        let exchange = Exchange { at: now, controller, ask, cycle, reply: reply.clone() };
        bmc.log.push(exchange);
        if lies {
            self.ghost.lied_about.insert(number);
        }
        if ask == Ask::Off {
            self.facts.push(Fact::OffArrived { controller, node: number, level, obeyed });
        }
        if switches && on {
            let takes = Duration::from_millis(self.rng.random_range(100..2500));
            self.later(takes, Happening::PowerEnds { node: number, boot });
        }
        self.later(HALF_WAY, Happening::BmcAnswers { to, reply });
    }

    /// The chassis has carried out a power off. One that was meant for an earlier boot is as good as any.
    pub(super) fn power_ends(&mut self, number: u16, _boot: BootId) {
        let Some(node) = self.node(number) else { return };
        if matches!(node.power, Power::Booting | Power::Running) {
            self.switch_off(number, false);
            self.tell("hardware", &format!("{} off", Place::Node(number)));
            if is_on(Mutant::M20) {
                self.later(CYCLE_PAUSE, Happening::PowerReturns { node: number });
            }
        }
    }

    pub(super) fn boot_done(&mut self, number: u16, boots: u32) {
        let now = self.now;
        let late = self.rng.random_range(0..100);
        let Some(node) = self.node_mut(number) else { return };
        if node.power != Power::Booting || node.boots != boots {
            return;
        }
        node.boot_up(now);
        node.watchdog.set_late(late);
        node.troubled = now;
        let (boot, boots) = (node.boot(), node.boots);
        let name = format!("{} (boot {boots})", Place::Node(number));
        self.story.name(boot, boots.to_string());
        if boots > 1 {
            self.tell("hardware", &format!("{name} up"));
        }
        self.start_sentinel(number);
        self.start_agent(number);
        if self.plan.warm && boots == 1 && self.nodes.iter().all(|node| node.boots == 1) {
            self.tell_everybody_of_everybody();
        }
        if self.sabotage.contains(&Sabotage::NoGate)
            && let Some(node) = self.node_mut(number)
        {
            node.gate = true;
            self.facts.push(Fact::GateOpened { node: number });
            self.compute_started(number);
        }
    }

    pub(super) fn watch_watchdog(&mut self, number: u16) {
        let Some(node) = self.node_mut(number) else { return };
        if let Some(at) = node.watchdog.fires_at().filter(|_| !node.watchdog.watched) {
            node.watchdog.watched = true;
            self.queue.push(at, Happening::Watchdog { node: number });
        }
    }

    pub(super) fn look_at_watchdog(&mut self, number: u16) {
        let now = self.now;
        let by_timer = is_on(Mutant::M03);
        let Some(node) = self.node_mut(number) else { return };
        node.watchdog.watched = false;
        if by_timer {
            node.watchdog.feed(now);
        }
        let due = node.watchdog.fires_at().is_some_and(|at| at <= now);
        let fires = match node.watchdog.kind {
            Kind::Hardware => due,
            Kind::Soft => due && !node.hung,
            Kind::Dead | Kind::Broken | Kind::Absent => false,
        };
        if fires {
            self.reset_node(number, "hardware", "reset by watchdog");
        } else if !due {
            self.watch_watchdog(number);
        }
    }
}
