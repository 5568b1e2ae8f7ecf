//! Whether libvirt answers, asked for what a census asks: the list of domains. A daemon that runs and hangs is as bad as
//! one that does not run, and its unit is active all the while.

use std::time::Duration;

use fencing::checks::State;

use super::plan::Outcome;
use super::script;
use crate::config::Virsh;

/// Asks it. What it lists is nothing to this check.
pub(super) async fn ask(virsh: &Virsh, within: Duration) -> Outcome {
    let program = virsh.program.to_string_lossy();
    let words = [&*program, "--connect", &virsh.uri, "--readonly", "list", "--uuid"];
    of_virsh(script::run(&words.map(str::to_owned), within).await)
}

/// virsh ends with 1 where libvirt is not there, which a plug-in would say to warn.
fn of_virsh(said: Outcome) -> Outcome {
    match said.code {
        0 if said.state == State::Ok => Outcome::ok("it answers"),
        // It did not end in time, or could not be run.
        0 => said,
        code => Outcome::critical(code, "virsh could not list the domains: libvirt is not there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(program: &str, within: Duration) -> (State, i32) {
        let virsh = Virsh { program: program.into(), ..Virsh::default() };
        let outcome = ask(&virsh, within).await;
        (outcome.state, outcome.code)
    }

    #[tokio::test]
    async fn libvirt_that_is_not_there_is_critical_and_without_virsh_nothing_is_known() {
        let soon = Duration::from_secs(20);
        assert_eq!(said("/bin/true", soon).await, (State::Ok, 0));
        assert_eq!(said("/bin/false", soon).await, (State::Critical, 1));
        assert_eq!(said("/nonexistent/virsh", soon).await.0, State::Unknown);
    }
}
