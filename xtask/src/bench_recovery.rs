//! How fast the VMs of many nodes are moved that were lost at once, in the simulator, with the times of a real Nova.

use anyhow::{Context as _, Result, ensure};

use crate::place;

pub(crate) fn command(nodes: u16, vms: u16) -> Result<()> {
    let status = place::cargo(&["build", "-p", "sim"]).status()?;
    ensure!(status.success(), "the simulator does not build");
    let program = place::target().join("debug").join("sim");
    let program = program.to_str().context("the target directory has a strange name")?;
    let (nodes, vms) = (nodes.to_string(), vms.to_string());
    let status = place::program(program, &["--nodes", &nodes, "--recovery", &vms]).status()?;
    ensure!(status.success(), "the recovery was not measured");
    Ok(())
}
