//! `cargo xtask test-bmc`: the drivers for BMCs against all that a BMC may do, as a table of what they conclude, and how
//! long fifty of them take at once. It fails where a conclusion is wrong.
//!
//! `cargo xtask test` runs the same tests among all others.

use crate::place;
use crate::setup;
use crate::steps::Steps;

/// One program for each driver against parts of others, and the table.
const PROGRAMS: [&str; 5] = ["ipmi", "redfish", "fence_agents", "bmc_proxy", "bmc_table"];

/// Installs what is needed, and runs them one after the other.
pub(crate) fn command() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    setup::for_bmcs(&mut steps);
    // The agent carries what controllers ask BMCs that they do not reach.
    steps.run("programs", place::cargo(&["build", "--workspace", "--bin", "ha-node-agent"]));
    for program in PROGRAMS {
        // The tables go to stderr as they are; with --nocapture a skipped part is seen too. Of the whole workspace, as in
        // `cargo xtask test`: a selection of packages would build half of all crates once more, with other features. One
        // test at a time, so that what is measured is not disturbed.
        let arguments = ["test", "--workspace", "--test", program, "--"];
        let arguments = [&arguments[..], &["--nocapture", "--test-threads", "1"]].concat();
        steps.run(program, place::cargo(&arguments));
    }
    steps.finish()
}
