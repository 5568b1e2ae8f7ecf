//! Debian's `serf` at its defaults for a local network, one agent for each address.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::peer::{EVENT, Peer, member};
use crate::setup;
use crate::steps::Steps;

/// Where the package puts it.
const PROGRAM: &str = "/usr/bin/serf";
const RPC: u16 = 7373;

/// Its program, installed if it is missing.
pub(super) fn program(steps: &mut Steps) -> Option<PathBuf> {
    setup::serf(steps);
    let program = PathBuf::from(PROGRAM);
    program.exists().then_some(program)
}

/// The command line of an agent that gossips there.
pub(super) fn words(number: u32, gossip: &str) -> Result<Vec<String>> {
    let (node, bind) = (format!("-node={}", member(number)), format!("-bind={gossip}"));
    let plain = ["-profile=lan", "-log-level=info"].map(str::to_owned);
    let mut words = vec!["agent".to_owned(), node, bind, rpc(number)?];
    words.extend(plain);
    Ok(words)
}

/// Has the first agent send a user event.
pub(super) fn send_event(program: &Path) -> Result<()> {
    let sent = Command::new(program).args(["event", &rpc(1)?, EVENT]).output()?;
    ensure!(sent.status.success(), "serf sends no event");
    Ok(())
}

fn rpc(number: u32) -> Result<String> {
    Ok(format!("-rpc-addr={}:{RPC}", Peer::Serf.address(number)?))
}
