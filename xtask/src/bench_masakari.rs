//! `cargo xtask bench-masakari`: Holdfast beside Masakari, on the same real Nova. The comparison itself is
//! `tests/tests/nova_masakari`. Masakari is installed by this command alone.

use crate::steps::{Outcome, Steps};
use crate::{nova, place, setup};

/// Nova's own defaults: Masakari's time rests on how long Nova believes in a dead host, and waits for it.
const DEFAULTS: [(&str, &str); 3] = [
    ("HOLDFAST_NOVA_REPORT_INTERVAL", "10"),
    ("HOLDFAST_NOVA_DOWN_TIME", "60"),
    ("HOLDFAST_NOVA_RPC_TIMEOUT", "60"),
];

/// Installs what is needed, starts Nova with its defaults, and runs both; or only the one that is named.
pub(crate) fn command(only: Option<&str>) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    setup::for_nova(&mut steps);
    let script = |words: &[&str]| place::program("bash", words);
    steps.run("Masakari", script(&["tests/support/nova/masakari.sh", "venv"]));
    let comparison = ["test", "--workspace", "--test", "nova_masakari", "--no-run", "--quiet"];
    steps.run("comparison's own program", place::cargo(&comparison));
    steps.run("Holdfast as it is shipped", place::cargo(&["build", "--release", "-p", "hactl"]));
    if !steps.failed.is_empty() || !steps.skipped.is_empty() {
        return steps.finish();
    }
    // A lab that runs for tests has other times.
    steps.run("end of an old Nova lab", script(&["tests/support/nova/down.sh"]));
    let mut up = script(&["tests/support/nova/up.sh", "4"]);
    steps.run("Nova with its defaults", {
        up.envs(DEFAULTS);
        up
    });
    let mut race = place::cargo(&["test", "--workspace", "--test", "nova_masakari", "--"]);
    race.args(only).envs(DEFAULTS);
    race.env("HOLDFAST_HACTL", place::target().join("release").join("hactl"));
    if steps.failed.is_empty() {
        steps.step("comparison", || {
            Ok(if race.status()?.success() { Outcome::Passed } else { Outcome::Failed })
        });
    }
    nova::end(&mut steps, false);
    steps.finish()
}
