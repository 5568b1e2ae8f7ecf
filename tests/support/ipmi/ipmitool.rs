//! ipmitool, the independent judge of the stand-in BMC.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use super::{PASSWORD, Scratch, USER, program};

/// What it said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) output: String,
}

/// The program with the password in a file.
pub(crate) struct Ipmitool {
    program: PathBuf,
    dir: Scratch,
}

impl Ipmitool {
    /// `None` if the program is missing and that is allowed.
    pub(crate) fn find() -> Option<Self> {
        let program = program("ipmitool")?;
        let dir = Scratch::new();
        fs::write(dir.path().join("password"), PASSWORD).expect("password file");
        Some(Self { program, dir })
    }

    /// Runs one command over cipher suite `suite`.
    pub(crate) async fn run(&self, addr: SocketAddr, suite: u8, command: &[&str]) -> Said {
        let output = tokio::process::Command::new(&self.program)
            .args(["-I", "lanplus", "-H", &addr.ip().to_string(), "-p", &addr.port().to_string()])
            .args(["-U", USER, "-C", &suite.to_string(), "-N", "1", "-R", "3", "-f"])
            .arg(self.dir.path().join("password"))
            .args(command)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("ipmitool runs");
        let text = [output.stdout, output.stderr].concat();
        Said {
            success: output.status.success(),
            output: String::from_utf8_lossy(&text).trim().to_owned(),
        }
    }
}
