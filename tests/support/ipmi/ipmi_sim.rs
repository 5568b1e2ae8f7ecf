//! OpenIPMI's BMC simulator, one process with one BMC.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fencing::bmc::Identity;

use super::{PASSWORD, Scratch, USER, address, program};

/// The GUID of every one.
pub(crate) const GUID: Identity = Identity([
    0xa1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xa1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
]);

/// What runs when the simulator wants to know or set the power. `DIR/power` is the node; the files
/// `DIR/stuck` and `DIR/refuses` are faults; `DIR/sets` tells what was set.
const CHASSIS: &str = r#"#!/bin/sh
dir=$1 verb=$2
shift 2
case $verb in
get)
    for item in "$@"; do
        [ "$item" = power ] && echo "power:$(cat "$dir/power")"
    done
    ;;
set)
    echo "$*" >>"$dir/sets"
    [ -e "$dir/refuses" ] && exit 1
    [ -e "$dir/stuck" ] && exit 0
    [ "$1" = power ] && echo "$2" >"$dir/power"
    ;;
esac
exit 0
"#;

/// A running `ipmi_sim`, killed when dropped.
pub(crate) struct IpmiSim {
    child: Child,
    pub(crate) addr: SocketAddr,
    dir: Scratch,
}

impl IpmiSim {
    /// Starts one with its node on; returns when it listens. `None` if the program is missing and
    /// that is allowed.
    pub(crate) fn start() -> Option<Self> {
        let program = program("ipmi_sim")?;
        let (dir, addr) = (Scratch::new(), address());
        let path = dir.path();
        fs::create_dir(path.join("state")).expect("state directory");
        fs::write(path.join("power"), "1\n").expect("power");
        let script = path.join("chassis");
        fs::write(&script, CHASSIS).expect("script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("mode");
        fs::write(path.join("lan.conf"), lan_conf(addr, path)).expect("lan.conf");
        fs::write(
            path.join("sim.emu"),
            "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n\
             sel_enable 0x20 1000 0x0a\nmc_enable 0x20\n",
        )
        .expect("sim.emu");
        let child = Command::new(program)
            .args(["-c", "lan.conf", "-f", "sim.emu", "-s", "state", "-n"])
            .current_dir(path)
            .stdin(Stdio::null())
            .stdout(fs::File::create(path.join("output")).expect("output"))
            .stderr(Stdio::null())
            .spawn()
            .expect("ipmi_sim starts");
        let sim = Self { child, addr, dir };
        sim.wait_until_it_listens();
        Some(sim)
    }

    /// Puts a fault file: `stuck` or `refuses`.
    pub(crate) fn fault(&self, name: &str) {
        fs::write(self.dir.path().join(name), "").expect("fault file");
    }

    /// Stops the process as it is: datagrams are taken by the kernel and never answered.
    pub(crate) fn freeze(&self) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args(["-STOP", &id]).status().expect("kill runs");
        assert!(done.success(), "SIGSTOP to {id}");
    }

    /// True if the node is powered, in truth.
    pub(crate) fn powered(&self) -> bool {
        let power = fs::read_to_string(self.dir.path().join("power")).expect("power");
        power.trim() == "1"
    }

    /// All that was set, a line each.
    pub(crate) fn sets(&self) -> Vec<String> {
        let sets = fs::read_to_string(self.dir.path().join("sets")).unwrap_or_default();
        sets.lines().map(str::to_owned).collect()
    }

    fn wait_until_it_listens(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        // When its address cannot be bound any more, it has bound it.
        while UdpSocket::bind(self.addr).is_ok() {
            let output = || fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
            assert!(Instant::now() < patience, "ipmi_sim does not listen: {}", output());
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for IpmiSim {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lan_conf(addr: SocketAddr, dir: &std::path::Path) -> String {
    let auths: String = ["callback", "user", "operator", "admin"]
        .map(|level| format!("    allowed_auths_{level} none md2 md5 straight\n"))
        .concat();
    format!(
        "name \"bmc\"\nset_working_mc 0x20\n  startlan 1\n    addr {ip} {port}\n    priv_limit admin\n\
         {auths}    guid {guid}\n  endlan\n  chassis_control \"{dir}/chassis {dir}\"\n  \
         user 2 true \"{USER}\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n",
        ip = addr.ip(),
        port = addr.port(),
        guid = GUID.to_string().replace('-', ""),
        dir = dir.display(),
    )
}
