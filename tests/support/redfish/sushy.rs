//! The Redfish emulator of OpenStack's sushy-tools with its fake systems, one process.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fencing::bmc::Identity;

use super::GOOD;

/// bcrypt of the password that all have.
const HTPASSWD: &str = "admin:$2b$04$IKFsUkM63cdUG1d9X28/QeNdSgKnOe5Tf7YlANRK8vi3awogESKLa\n";

/// A running emulator, killed when dropped.
pub(crate) struct Sushy {
    child: Child,
    pub(crate) addr: SocketAddr,
    dir: PathBuf,
}

impl Sushy {
    /// One with this many systems, all on; returns when it listens. `None` if it is not installed and
    /// that is allowed.
    pub(crate) fn start(systems: u8) -> Option<Self> {
        let program = program()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = port.local_addr().expect("it is bound");
        drop(port);
        let dir = std::env::temp_dir().join(format!(
            "holdfast-sushy-{}-{}",
            std::process::id(),
            addr.port()
        ));
        fs::create_dir(&dir).expect("a new temporary directory");
        fs::write(dir.join("htpasswd"), HTPASSWD).expect("htpasswd");
        fs::write(dir.join("bmc.pem"), GOOD.certificate).expect("certificate");
        fs::write(dir.join("bmc.key"), GOOD.key).expect("key");
        let list: String = (1..=systems)
            .map(|number| {
                let uuid = Self::uuid(number);
                format!(
                    "{{'uuid': '{uuid}', 'name': 'node-{number}', 'power_state': 'On', \
                      'external_notifier': False, 'nics': []}},"
                )
            })
            .collect();
        let (shown, port) = (dir.display(), addr.port());
        let config = format!(
            "SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n\
             SUSHY_EMULATOR_LISTEN_PORT = {port}\nSUSHY_EMULATOR_SSL_CERT = '{shown}/bmc.pem'\n\
             SUSHY_EMULATOR_SSL_KEY = '{shown}/bmc.key'\nSUSHY_EMULATOR_AUTH_FILE = '{shown}/htpasswd'\n\
             SUSHY_EMULATOR_STATE_DIR = '{shown}'\nSUSHY_EMULATOR_FAKE_SYSTEMS = [{list}]\n"
        );
        fs::write(dir.join("sushy.conf"), config).expect("configuration");
        let child = Command::new(program)
            .arg("--config")
            .arg(dir.join("sushy.conf"))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("output")).expect("output"))
            .stderr(fs::File::create(dir.join("errors")).expect("errors"))
            .spawn()
            .expect("sushy-emulator starts");
        let sushy = Self { child, addr, dir };
        sushy.wait_until_it_listens();
        Some(sushy)
    }

    /// UUID of a system.
    pub(crate) fn uuid(number: u8) -> Identity {
        Identity([0x5a, 0, 0, number, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 1, 2, 3, 4, 5, number])
    }

    /// Path of a system.
    pub(crate) fn system(number: u8) -> String {
        format!("/redfish/v1/Systems/{}", Self::uuid(number))
    }

    fn wait_until_it_listens(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            let errors = || fs::read_to_string(self.dir.join("errors")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "sushy-emulator: {}", errors());
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sushy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn program() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty());
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = base.map_or_else(home, PathBuf::from);
    let program = cache.join("holdfast/bmc-venv/bin/sushy-emulator");
    if program.is_file() {
        return Some(program);
    }
    let skip = std::env::var("HOLDFAST_SKIP_REAL").is_ok_and(|value| value == "1");
    assert!(skip, "sushy-emulator is not installed: `cargo xtask setup`, or HOLDFAST_SKIP_REAL=1");
    // Not println: the test harness would swallow it, and a skip must be seen.
    writeln!(std::io::stderr(), "SKIPPED sushy-emulator: not installed").expect("stderr");
    None
}
