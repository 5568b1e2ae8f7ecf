//! A guest's BMC: OpenIPMI's `ipmi_sim`, which starts and ends the guest's QEMU, or is stuck.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::guest::Plug;

/// The user that every BMC has.
pub(crate) const USER: &str = "admin";
/// Its password.
pub(crate) const PASSWORD: &str = "secret";

/// What runs for the stuck one. A process that has ended and that nobody has waited for is still in the table: off.
const CHASSIS: &str = r#"#!/bin/sh
[ "$1" = get ] || exit 0
state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$(cat 'PID')/status" 2>/dev/null)
for item in "$@"; do
    [ "$item" = power ] || continue
    case $state in "" | Z | X) echo power:0 ;; *) echo power:1 ;; esac
done
exit 0
"#;

/// What it does with its machine.
pub(crate) enum Does<'a> {
    /// This program is the machine. An off asks it to end; after 5 s it is sent SIGTERM, after 2 s more SIGKILL. It reads
    /// on for as long as the process is there.
    Starts(&'a Path),
    /// The process of this file is the machine. It reads on as long as that is there, takes every order and does nothing.
    Nothing(&'a Path),
}

/// Starts it. Its files are `DIR/NAME.bmc/`.
pub(crate) fn start(dir: &Path, name: &str, plug: Plug, does: &Does<'_>) -> Child {
    let dir = dir.join(format!("{name}.bmc"));
    std::fs::create_dir_all(dir.join("state")).expect("a directory");
    let chassis = match does {
        Does::Starts(program) => format!(
            "  serial 15 {} {} codec VM\n  startcmd \"{}\"\n  startnow true\n  poweroff_wait 5\n  kill_wait 2\n",
            plug.system.ip(),
            plug.system.port(),
            program.display()
        ),
        Does::Nothing(pid) => {
            let text = CHASSIS.replace("PID", &pid.display().to_string());
            format!("  chassis_control \"{}\"\n", script(&dir.join("chassis"), &text).display())
        }
    };
    let auths: String = ["callback", "user", "operator", "admin"]
        .map(|level| format!("    allowed_auths_{level} none md2 md5 straight\n"))
        .concat();
    let lan = format!(
        "name \"{name}\"\nset_working_mc 0x20\n  startlan 1\n    addr {} {}\n    priv_limit admin\n\
         {auths}    guid a123456789abcdefa123456789abcd{:02x}\n  endlan\n{chassis}  \
         user 2 true \"{USER}\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n",
        plug.bmc.ip(),
        plug.bmc.port(),
        plug.bmc.ip().octets()[3],
    );
    std::fs::write(dir.join("lan.conf"), lan).expect("written");
    let emulated = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n\
                    sel_enable 0x20 1000 0x0a\nmc_enable 0x20\n";
    std::fs::write(dir.join("sim.emu"), emulated).expect("written");
    let output = std::fs::File::create(dir.join("output")).expect("a file");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "ipmi_sim"]);
    command.args(["-c", "lan.conf", "-f", "sim.emu", "-s", "state", "-n"]).current_dir(dir);
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    command.spawn().expect("setpriv runs")
}

/// Writes a program.
pub(crate) fn script(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
    path.to_owned()
}
