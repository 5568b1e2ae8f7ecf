//! The real Nova that tests bring up. A test leaves it running for the next one, for starting it
//! takes a minute or more; a whole run leaves the machine as it found it.

use crate::place;
use crate::steps::Steps;

/// Whether the lab runs now.
pub(crate) fn runs() -> bool {
    let status = place::program("bash", &["tests/support/nova/compute.sh", "status", "1"]).output();
    // "compute-1 PID", or "compute-1 -".
    status.is_ok_and(|output| output.status.success() && !output.stdout.ends_with(b" -\n"))
}

/// Adds a step that ends the lab, unless it ran before the task began or does not run at all.
pub(crate) fn end(steps: &mut Steps, ran_before: bool) {
    if !ran_before && runs() {
        steps.run("end of the Nova lab", place::program("bash", &["tests/support/nova/down.sh"]));
    }
}
