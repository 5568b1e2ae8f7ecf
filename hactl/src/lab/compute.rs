//! A node's pretended hypervisor and nova-compute, a process of its own that dies with its node.
//!
//! It starts only once the node's gate is open for this boot. A VM is a file in `domains/`, and a line in the lab's
//! shared disk every 100 ms: `vm node boot counter`. The disk is not behind the storage network, so that a VM that
//! still runs is seen also where its storage is cut.
//!
//! ```text
//!  lab --stdin--> start UUID | stop UUID           compute --stdout--> ready | running UUID | stopped UUID | refused UUID
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use uuid::Uuid;

const BEAT: Duration = Duration::from_millis(100);

/// Runs until standard input closes.
pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    let mut compute = Compute::new(dir)?;
    let (sender, orders) = channel();
    std::thread::Builder::new().name("orders".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    })?;
    compute.serve(&orders)
}

struct Compute {
    name: String,
    boot: Uuid,
    gate: PathBuf,
    domains: PathBuf,
    disk: File,
    ready: bool,
    running: BTreeMap<Uuid, u64>,
}

impl Compute {
    /// `DIR/compute` names the node, `DIR/boot_id` the boot, `DIR/../shared-disk.log` is the disk.
    fn new(dir: &Path) -> anyhow::Result<Self> {
        let name = dir.file_name().context("a node's directory has a name")?;
        let boot = fs::read_to_string(dir.join("boot_id")).context("no boot id")?;
        let disk = dir.parent().context("no lab around the node")?.join("shared-disk.log");
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            boot: boot.trim().parse().context("no boot id")?,
            gate: dir.join("run").join("gate"),
            domains: dir.join("domains"),
            disk: OpenOptions::new().append(true).create(true).open(disk)?,
            ready: false,
            running: BTreeMap::new(),
        })
    }

    fn serve(&mut self, orders: &Receiver<String>) -> anyhow::Result<()> {
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() {
                next += BEAT;
                self.beat()?;
            }
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(order) => self.obey(&order)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn beat(&mut self) -> io::Result<()> {
        if !self.ready && self.gate_is_open() {
            self.ready = true;
            say("ready")?;
        }
        for (vm, counter) in &mut self.running {
            *counter += 1;
            write_line(&mut self.disk, vm, &self.name, self.boot, *counter)?;
        }
        Ok(())
    }

    fn obey(&mut self, order: &str) -> io::Result<()> {
        let mut words = order.split_whitespace();
        let (verb, vm) = (words.next(), words.next().and_then(|vm| vm.parse::<Uuid>().ok()));
        match (verb, vm) {
            (Some("start"), Some(vm)) if self.gate_is_open() => {
                fs::write(self.domains.join(vm.to_string()), b"")?;
                let counter = self.running.entry(vm).or_default();
                *counter += 1;
                write_line(&mut self.disk, &vm, &self.name, self.boot, *counter)?;
                say(&format!("running {vm}"))
            }
            (Some("start"), Some(vm)) => say(&format!("refused {vm}")),
            (Some("stop"), Some(vm)) => {
                self.running.remove(&vm);
                let _ = fs::remove_file(self.domains.join(vm.to_string()));
                say(&format!("stopped {vm}"))
            }
            _ => Ok(()),
        }
    }

    fn gate_is_open(&self) -> bool {
        let text = fs::read_to_string(&self.gate).unwrap_or_default();
        text.trim().parse() == Ok(self.boot)
    }
}

/// One write, so that lines of several nodes never mix.
fn write_line(disk: &mut File, vm: &Uuid, node: &str, boot: Uuid, count: u64) -> io::Result<()> {
    disk.write_all(format!("{vm} {node} {boot} {count}\n").as_bytes())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
