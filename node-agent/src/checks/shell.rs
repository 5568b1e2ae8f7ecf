//! Begins checks, each in a task of its own, and hands in what came of them. It decides nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::kernel_log::KernelLog;
use super::plan::Outcome;
use super::probe::Probe;
use super::{Configured, door, http, libvirt, mount, script, tcp, temperature};
use crate::agent::Event;
use crate::config::Config;

/// The probes of one agent.
#[derive(Debug)]
pub struct Shell {
    checks: Vec<Configured>,
    /// This program, which is begun anew for what may hang.
    agent: PathBuf,
    run_dir: PathBuf,
    logs: RefCell<BTreeMap<u8, KernelLog>>,
    events: mpsc::Sender<Event>,
}

impl Shell {
    /// The probes of this configuration; pushes are taken from now on.
    pub fn open(config: &Config, events: mpsc::Sender<Event>) -> Self {
        let checks = config.checks.clone();
        let places = || (0..=u8::MAX).zip(&checks);
        let pushed = places().filter(|(_, check)| check.probe == Probe::Pushed);
        let pushed: Vec<_> = pushed.map(|(at, check)| (check.plan.name.clone(), at)).collect();
        if !pushed.is_empty()
            && let Err(error) = door::listen(&config.checks_socket(), pushed, events.clone())
        {
            let path = config.checks_socket();
            tracing::error!(path = %path.display(), %error, "no check can be pushed");
        }
        let logs = places().filter_map(|(at, check)| match &check.probe {
            Probe::KernelLog(patterns) => Some((at, KernelLog::new(patterns.clone()))),
            Probe::Script { .. }
            | Probe::Http(_)
            | Probe::Tcp { .. }
            | Probe::Ping { .. }
            | Probe::Pushed
            | Probe::Mount { .. }
            | Probe::Unit { .. }
            | Probe::Libvirt(_)
            | Probe::Temperature { .. }
            | Probe::Fans { .. } => None,
        });
        let logs = RefCell::new(logs.collect());
        let agent = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ha-node-agent"));
        Self { agent, run_dir: config.run_dir.clone(), logs, events, checks }
    }

    /// Begins a check. Its outcome comes as an event, or never: then the core counts it as late.
    pub fn run(&self, check: u8, run: u64) {
        let Some(Configured { plan, probe }) = self.checks.get(usize::from(check)).cloned() else {
            return;
        };
        let log = self.logs.borrow_mut().get_mut(&check).map(KernelLog::look);
        let lock = mount::lock(&self.run_dir, &plan.name);
        let (agent, events) = (self.agent.clone(), self.events.clone());
        tokio::spawn(async move {
            let outcome = match (log, probe) {
                (Some(outcome), _) => outcome,
                (None, Probe::Mount { path }) => {
                    script::run(&mount::command(&agent, &lock, &path), plan.within).await
                }
                (None, probe) => probed(probe, plan.within).await,
            };
            let _ = events.send(Event::Checked { check, run, outcome }).await;
        });
    }
}

async fn probed(probe: Probe, within: Duration) -> Outcome {
    match probe {
        Probe::Script { command } => script::run(&command, within).await,
        Probe::Http(page) => http::ask(&page, within).await,
        Probe::Tcp { address } => tcp::connect(address, within).await,
        Probe::Ping { address, warning, critical } => {
            tcp::ping(address, within, (warning, critical)).await
        }
        Probe::Unit { unit, systemctl } => {
            let systemctl = systemctl.to_string_lossy().into_owned();
            let command = [systemctl, "is-active".to_owned(), "--".to_owned(), unit.clone()];
            of_unit(&unit, script::run(&command, within).await)
        }
        Probe::Libvirt(virsh) => libvirt::ask(&virsh, within).await,
        Probe::Temperature { directory, warning, critical } => {
            aside(move || temperature::temperature(&directory, warning, critical)).await
        }
        Probe::Fans { directory } => aside(move || temperature::fans(&directory)).await,
        Probe::Mount { .. } | Probe::KernelLog(_) | Probe::Pushed => {
            Outcome::unknown("nothing to be run")
        }
    }
}

/// `systemctl is-active` ends with 0 for a unit that runs, and with 3 for one that is known not to.
fn of_unit(unit: &str, said: Outcome) -> Outcome {
    let word = if said.message.is_empty() { "not active" } else { &said.message };
    match said.code {
        0 => said,
        code @ (3 | 4) => Outcome::critical(code, &format!("{unit} is {word}")),
        code => Outcome::unknown(&format!("systemctl ended with {code}: {word}")),
    }
}

/// In a thread of its own: a file of the kernel that hangs must not hang gossip.
async fn aside(look: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    match tokio::task::spawn_blocking(look).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::unknown(&error.to_string()),
    }
}
