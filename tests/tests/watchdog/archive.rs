//! The guest's first file system: a cpio archive in the form that the kernel unpacks ("newc").

use std::path::Path;
use std::process::Command;

/// An archive that grows. The kernel takes several, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const PRIVATE: u32 = 0o100_600;

impl Archive {
    /// With these directories; parents come first.
    pub(crate) fn new(directories: &[&str]) -> Self {
        let mut archive = Self::default();
        directories.iter().for_each(|name| archive.add(name, DIRECTORY, &[]));
        archive
    }

    /// A directory; its parent comes first.
    pub(crate) fn directory(&mut self, name: &str) {
        self.add(name, DIRECTORY, &[]);
    }

    /// A file that may be run.
    pub(crate) fn program(&mut self, name: &str, bytes: &[u8]) {
        self.add(name, PROGRAM, bytes);
    }

    /// A file that only root reads.
    pub(crate) fn private(&mut self, name: &str, text: &str) {
        self.add(name, PRIVATE, text.as_bytes());
    }

    /// A program of this machine, with the libraries that it is linked to: none if it is static.
    pub(crate) fn program_with_libraries(&mut self, name: &str, path: &Path, stripped: &Path) {
        // What a debugger needs would have to be unpacked in the guest.
        let strip = Command::new("strip").arg("-o").arg(stripped).arg(path).status();
        let small = strip.is_ok_and(|status| status.success());
        let bytes = std::fs::read(if small { stripped } else { path }).expect("a program");
        self.program(name, &bytes);
        let linked = Command::new("ldd").arg(path).output().expect("ldd runs");
        for line in String::from_utf8_lossy(&linked.stdout).lines() {
            let found = line.split_whitespace().find(|word| word.starts_with('/'));
            let Some(library) = found.filter(|_| line.contains("(0x")) else { continue };
            // Where the loader looks: its own path is absolute, the others have the plain name.
            let file = Path::new(library).file_name().expect("a name").to_string_lossy();
            let place = if library.contains("ld-linux") {
                library[1..].to_owned()
            } else {
                format!("lib/{file}")
            };
            self.program(&place, &std::fs::read(library).expect("a library"));
        }
    }

    /// The archive with its end, as QEMU takes it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        self.inode += 1;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        let length = u32::try_from(bytes.len()).expect("below 4 GiB");
        let name_length = u32::try_from(name.len() + 1).expect("short");
        let fields = [self.inode, mode, 0, 0, links, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
