//! `hactl internal bare`: what a benchmark needs to start the real programs itself, many more than a lab has: their
//! configurations, and watchdogs that never fire. No cables, BMCs, hypervisors or Nova, so that all that the machine does
//! is done by the programs that are measured.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fencing::lease::Profile;
use serde_json::{Value, json};

use super::files::{self, NovaAccess};
use super::plan::{NETWORKS, Node, Plan, fresh_id};

/// How often what the sentinels have fed is thrown away; a FIFO holds hours of it.
const DRAIN: Duration = Duration::from_secs(10);

/// What is made.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many nodes.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=180))]
    nodes: u8,
    /// Where; it must be empty.
    #[arg(long)]
    dir: PathBuf,
    /// Whose times: fast, balanced or calm.
    #[arg(long, default_value = "balanced", value_parser = profile)]
    profile: Profile,
}

fn profile(word: &str) -> Result<Profile, String> {
    let known = [Profile::Fast, Profile::Balanced, Profile::Calm];
    let named = known.into_iter().find(|profile| profile.to_string() == word);
    named.ok_or_else(|| "there are fast, balanced and calm".to_owned())
}

/// Writes the files, says where they are, and keeps addresses and watchdogs until standard input closes.
///
/// # Errors
/// What could not be written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    fs::create_dir_all(&args.dir)?;
    let dir = fs::canonicalize(&args.dir)?;
    let plan = Plan::bare(&dir, args.nodes, args.profile)?;
    files::write(&plan, |_| NovaAccess::none())?;
    let watchdogs: io::Result<Vec<File>> = plan.nodes.iter().map(boot).collect();
    let mut watchdogs = watchdogs?;
    std::thread::Builder::new().name("watchdogs".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(DRAIN);
            watchdogs.iter_mut().for_each(drain);
        }
    })?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &told(&plan))?;
    writeln!(out)?;
    out.flush()?;
    // To its end, which is that of whoever started it.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// What a node finds when it boots. The watchdog is a FIFO, open for reading so that it can be opened for writing.
fn boot(node: &Node) -> io::Result<File> {
    fs::create_dir_all(node.run_dir())?;
    fs::create_dir_all(node.domains())?;
    fs::write(node.boot_file(), format!("{}\n", fresh_id()))?;
    let path = node.watchdog();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU)?;
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

fn drain(watchdog: &mut File) {
    let mut bytes = [0; 4096];
    // Nothing there, or nobody who feeds, is no error.
    while matches!(watchdog.read(&mut bytes), Ok(length) if length > 0) {}
}

fn told(plan: &Plan) -> Value {
    let config = |dir: &Path, name: &str| dir.join(name).display().to_string();
    let controllers = plan.controllers.iter().map(|controller| {
        json!({
            "name": controller.name,
            "host": controller.host.0,
            "config": config(&controller.dir, "controller.toml"),
            "journal": config(&controller.dir, "state/journal.log"),
        })
    });
    let nodes = plan.nodes.iter().map(|node| {
        json!({
            "name": node.name,
            "host": node.host.0,
            "config": config(&node.dir, "node.toml"),
        })
    });
    json!({
        "octet": plan.block.octet(),
        "networks": NETWORKS,
        "urls": plan.urls(),
        "token": plan.token_file().display().to_string(),
        "controllers": controllers.collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_cluster_has_as_many_nodes_as_are_asked_for_and_no_bmc() {
        let dir = std::env::temp_dir().join(format!("hf-bare-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("made");
        let plan = Plan::bare(&dir, 100, Profile::Balanced).expect("a plan");
        files::write(&plan, |_| NovaAccess::none()).expect("written");
        let inventory = fs::read_to_string(dir.join("inventory.toml")).expect("there");
        assert_eq!(inventory.matches("[[node]]").count(), 100);
        assert!(!inventory.contains("bmc"), "{inventory}");
        let told = told(&plan);
        let config = told["controllers"][2]["config"].as_str().expect("a path");
        let config = controller::config::Config::load(Path::new(config));
        let config = config.expect("a configuration");
        assert!(config.nova.is_none());
        let mut ports: Vec<u8> = plan.nodes.iter().map(|node| node.host.0).collect();
        ports.dedup();
        assert_eq!(ports.len(), 100);
        fs::remove_dir_all(&dir).expect("removed");
    }
}
