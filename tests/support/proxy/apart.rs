//! Two network namespaces with a wire between them: what listens on one's loopback cannot be reached from the other.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use nix::sched::{CloneFlags, setns};

/// Where the agent is, seen from the controller.
pub(crate) const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

/// The namespaces, removed when dropped. Their names are this process's own.
pub(crate) struct Apart {
    near: String,
    far: String,
}

impl Apart {
    /// Makes them; `None` where this machine does not allow it.
    pub(crate) fn new() -> Option<Self> {
        let name = |side: &str| format!("holdfast-{}-{side}", std::process::id());
        let apart = Self { near: name("near"), far: name("far") };
        let (near, far) = (apart.near.as_str(), apart.far.as_str());
        let made = ip(&["netns", "add", near])
            && ip(&["netns", "add", far])
            && ip(&[
                "-n", near, "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", far,
            ])
            && ip(&["-n", near, "addr", "add", "10.77.0.1/30", "dev", "w0"])
            && ip(&["-n", far, "addr", "add", "10.77.0.2/30", "dev", "w1"])
            && ip(&["-n", near, "link", "set", "w0", "up"])
            && ip(&["-n", far, "link", "set", "w1", "up"])
            && ip(&["-n", near, "link", "set", "lo", "up"])
            && ip(&["-n", far, "link", "set", "lo", "up"]);
        made.then_some(apart)
    }

    /// From here on this thread, and what it starts, is where the controller is.
    pub(crate) fn go_near(&self) {
        enter(&self.near);
    }

    /// From here on this thread, and what it starts, is where the BMCs are.
    pub(crate) fn go_far(&self) {
        enter(&self.far);
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            ip(&["netns", "del", name]);
        }
    }
}

fn enter(name: &str) {
    let file = File::open(format!("/run/netns/{name}")).expect("it was made");
    setns(file, CloneFlags::CLONE_NEWNET).expect("whoever makes one may enter it");
}

fn ip(arguments: &[&str]) -> bool {
    let run = Command::new("ip").args(arguments).output();
    run.is_ok_and(|output| output.status.success())
}
