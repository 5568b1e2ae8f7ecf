//! A node as a machine: its power, its boots, and the processes that run on it.
//!
//! ```text
//!  BMC --chassis off--> Machine --SIGKILL--> sentinel, agent, compute
//!  watchdog --reset---> Machine --SIGKILL, after a while a new boot
//!  compute --stdout---> News --> the lab, which tells Nova
//! ```

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sim::standin::bmc::Chassis;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::child::Child;
use super::plan::{Node, fresh_id};
use super::watchdog::Cause;

/// From a reset until the machine runs again; a real one takes minutes.
const BOOT_TAKES: Duration = Duration::from_secs(4);

/// A reset that was asked for has happened within this time.
const RESET_TAKES: Duration = Duration::from_secs(1);

/// What happened on a node.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// When.
    pub(super) at: Instant,
    /// The node's name.
    pub(super) node: String,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// It boots.
    Boots,
    /// It lost all that it ran: why.
    Lost(&'static str),
    /// nova-compute runs.
    Ready,
    /// A VM runs.
    Running(Uuid),
    /// A VM was stopped.
    Stopped(Uuid),
    /// A VM could not be started.
    Refused(Uuid),
}

/// A node. Clones are the same one.
#[derive(Clone)]
pub(super) struct Machine(Arc<Inner>);

struct Inner {
    node: Node,
    news: mpsc::UnboundedSender<News>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    power: bool,
    /// Counts what ends a boot, so that a delayed boot knows whether it is still wanted.
    turns: u64,
    /// In which turn a program was first found ended, and when.
    ended: Option<(u64, Instant)>,
    programs: Option<Programs>,
}

struct Programs {
    agent: Child,
    sentinel: Child,
    compute: Child,
}

impl Machine {
    /// A machine that is off.
    pub(super) fn new(node: Node, news: mpsc::UnboundedSender<News>) -> Self {
        Self(Arc::new(Inner { node, news, state: Mutex::default() }))
    }

    /// Switches the power on and boots.
    pub(super) fn switch_on(&self) -> io::Result<()> {
        let mut state = self.state();
        state.power = true;
        self.boot(&mut state)
    }

    /// The power goes away: everything on it dies at once, and stays so.
    pub(super) fn switch_off(&self, why: &'static str) {
        let mut state = self.state();
        if state.power {
            state.power = false;
            self.lose(&mut state, why);
        }
    }

    /// A watchdog's reset: everything dies, and the machine boots again if it has power.
    pub(super) fn reset(&self, cause: Cause) {
        let mut state = self.state();
        if !state.power || state.programs.is_none() {
            return;
        }
        self.lose(
            &mut state,
            match cause {
                Cause::NotFed => "reset by its watchdog, which was not fed",
                Cause::Asked => "reset by its own sentinel",
            },
        );
        let (turn, machine) = (state.turns, self.clone());
        std::thread::spawn(move || {
            std::thread::sleep(BOOT_TAKES);
            let mut state = machine.state();
            if state.power && state.turns == turn {
                // Without programs it looks like a machine that hangs in its firmware.
                let _ = machine.boot(&mut state);
            }
        });
    }

    /// Kills its agent, and nothing else.
    pub(super) fn kill_agent(&self) {
        if let Some(programs) = &mut self.state().programs {
            programs.agent.kill();
        }
    }

    /// Orders something of its hypervisor; lost where none runs.
    pub(super) fn order(&self, order: &str) {
        if let Some(programs) = &mut self.state().programs {
            programs.compute.say(order);
        }
    }

    /// A sentence about a program that ended by itself, and was not taken along by a reset since: a sentinel that asks for
    /// one ends in the same moment, before the watchdog has looked.
    pub(super) fn obituary(&self) -> Option<String> {
        let mut state = self.state();
        let turn = state.turns;
        let programs = state.programs.as_mut()?;
        let sentence = [&mut programs.sentinel, &mut programs.agent, &mut programs.compute]
            .into_iter()
            .find_map(Child::obituary)?;
        let (of, since) = state.ended.unwrap_or((turn, Instant::now()));
        let since = if of == turn { since } else { Instant::now() };
        state.ended = Some((turn, since));
        (since.elapsed() >= RESET_TAKES).then_some(sentence)
    }

    /// Whether its power is on, in truth.
    pub(super) fn has_power(&self) -> bool {
        self.state().power
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, state: &mut State, why: &'static str) {
        state.turns += 1;
        // Dropping them kills them.
        state.programs = None;
        self.tell(What::Lost(why));
    }

    /// A new boot: a new boot id, and nothing of what was in memory.
    fn boot(&self, state: &mut State) -> io::Result<()> {
        let node = &self.0.node;
        for memory in [node.run_dir(), node.domains()] {
            let _ = fs::remove_dir_all(&memory);
            fs::create_dir_all(&memory)?;
        }
        fs::write(node.boot_file(), format!("{}\n", fresh_id()))?;
        let config = node.dir.join("node.toml");
        let start = |part: &str, option: &str, file: &std::path::Path| {
            let name = format!("{} of {}", part, node.name);
            Child::start(&name, &[part, option], file, &node.dir.join(format!("{part}.log")))
        };
        let sentinel = start("sentinel", "--config", &config)?;
        let agent = start("agent", "--config", &config)?;
        let mut compute = start("compute", "--dir", &node.dir)?;
        self.listen_to(&mut compute)?;
        state.programs = Some(Programs { agent, sentinel, compute });
        self.tell(What::Boots);
        Ok(())
    }

    fn listen_to(&self, compute: &mut Child) -> io::Result<()> {
        let Some(output) = compute.output() else { return Ok(()) };
        let machine = self.clone();
        std::thread::Builder::new().name("compute".to_owned()).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(what) = What::parse(&line) {
                    machine.tell(what);
                }
            }
        })?;
        Ok(())
    }

    fn tell(&self, what: What) {
        let news = News { at: Instant::now(), node: self.0.node.name.clone(), what };
        // Nobody listens any more when the lab ends.
        let _ = self.0.news.send(news);
    }
}

impl What {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let mut vm = || words.next()?.parse().ok();
        match verb {
            "ready" => Some(What::Ready),
            "running" => vm().map(What::Running),
            "stopped" => vm().map(What::Stopped),
            "refused" => vm().map(What::Refused),
            _ => None,
        }
    }
}

impl Chassis for Machine {
    fn power(&self) -> bool {
        self.has_power()
    }

    fn set_power(&mut self, on: bool) {
        if on {
            // A machine without programs looks like one that hangs in its firmware.
            let _ = self.switch_on();
        } else {
            self.switch_off("switched off by its BMC");
        }
    }
}
