//! Child processes: this same program, started again as one of the parts. None of them outlives the lab: each ends when
//! its standard input closes, which the kernel does also when the lab is killed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// Lines of a log that an error quotes.
const LAST_LINES: usize = 8;

/// A running part. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    log: PathBuf,
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
}

impl Child {
    /// Starts `hactl internal PART --config CONFIG`, or whatever the words are; its log goes to `log`.
    pub(super) fn start(name: &str, words: &[&str], file: &Path, log: &Path) -> io::Result<Self> {
        let log_file = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(own_program()?);
        command
            .arg("internal")
            .args(words)
            .arg(file)
            // A terminal's Ctrl-C is for the lab alone.
            .process_group(0)
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file);
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "info");
        }
        let mut process = command.spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Ok(Self { name: name.to_owned(), log: log.to_owned(), process, input, output })
    }

    /// Kills it at once and waits for its end.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Says a line on its standard input; lost where it has ended.
    pub(super) fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Its standard output, once.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }

    /// If it has ended by itself: a sentence with the last lines of its log.
    pub(super) fn obituary(&mut self) -> Option<String> {
        let status = self.process.try_wait().ok()??;
        let lines = last_lines(&self.log);
        let log = self.log.display();
        Some(format!("{} ended ({status}); the end of {log}:\n{lines}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The file of this program, also where it was replaced by a build meanwhile.
fn own_program() -> io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines.iter().skip(from).map(|line| format!("    {line}\n")).collect()
}

/// A file that only its owner reads.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
