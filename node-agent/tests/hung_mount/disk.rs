//! A file system that can be made to hang: whoever writes there stands still in the kernel, where no signal ends it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::run;

/// Bytes of the file that it lies in.
const SIZE: u64 = 16 << 20;

/// Freezes, and thaws once its input ends: also when the test is killed, for what is frozen then is so for good.
const FREEZE: &str = r#"fsfreeze -f "$1" && echo frozen && read end; fsfreeze -u "$1""#;

/// The file system, on a loop device. It is gone with the mount namespace.
pub(crate) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Makes it below this directory, and mounts it.
    ///
    /// # Errors
    /// Why this machine does not let it be done.
    pub(crate) fn make(below: &Path) -> Result<Self, String> {
        let (image, at) = (below.join("disk.image"), below.join("disk"));
        let made = File::create(&image).and_then(|file| file.set_len(SIZE));
        made.and_then(|()| fs::create_dir(&at)).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at))?;
        Ok(Self { at })
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// Lets it hang for as long as the answer lives.
    ///
    /// # Errors
    /// Why this machine does not let it be done.
    pub(crate) fn hang(&self) -> Result<Hanging, String> {
        let mut command = Command::new("sh");
        command.args(["-c", FREEZE, "sh"]).arg(&self.at);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut keeper = spawned.map_err(|error| error.to_string())?;
        let mut said = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        let hanging = Hanging(keeper);
        if said.trim() == "frozen" { Ok(hanging) } else { Err("fsfreeze failed".to_owned()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // With the namespace it would go too; what lies below must be removed before.
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

/// It hangs; dropping this ends it.
pub(crate) struct Hanging(Child);

impl Drop for Hanging {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
