//! Real parts for the IPMI tests: OpenIPMI's `ipmi_sim`, `ipmitool`, our stand-in BMC on a socket,
//! and a bad network between. Everything lives on 127.0.0.0/8 and ends when it is dropped.

pub(crate) mod ipmi_sim;
pub(crate) mod ipmitool;
pub(crate) mod relay;
pub(crate) mod stand_in;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use fencing::bmc::{BmcTarget, CipherSuite, Privilege, Secret};

/// The user that all BMCs here have.
pub(crate) const USER: &str = "admin";
/// Its password.
pub(crate) const PASSWORD: &str = "secret";

/// Where the program is. `None`: the machine lacks it and the run allows that, which is said aloud.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|place| place.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let skip = std::env::var("HOLDFAST_SKIP_REAL").is_ok_and(|value| value == "1");
        assert!(
            skip,
            "{name} is not installed: `cargo xtask setup` (Debian: openipmi, ipmitool, fence-agents), \
             or set HOLDFAST_SKIP_REAL=1 to skip the tests that need it"
        );
        // Not println: the test harness would swallow it, and a skip must be seen.
        writeln!(std::io::stderr(), "SKIPPED {name}: not installed").expect("stderr");
    }
    found
}

/// A loopback address that no other test of this process uses.
pub(crate) fn host() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
    let [.., process] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 + process % 64, high, low.max(1)))
}

/// Such an address, and a port that is free on it just now: for a program that has to be told its port.
pub(crate) fn address() -> SocketAddr {
    let probe = UdpSocket::bind((host(), 0)).expect("loopback has free ports");
    probe.local_addr().expect("it is bound")
}

/// A login for the BMC at this address.
pub(crate) fn target(addr: SocketAddr, suites: &[CipherSuite]) -> BmcTarget {
    BmcTarget {
        addr,
        user: USER.into(),
        password: Secret::new(PASSWORD.into()),
        suites: suites.to_vec(),
        privilege: Privilege::Operator,
    }
}

/// A directory of one test, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name =
            format!("holdfast-ipmi-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new temporary directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
