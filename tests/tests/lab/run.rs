//! Running the binary, and reading its closing result.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program, built once if `cargo test` did not.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // `cargo xtask test` has built it.
        if let Some(path) = std::env::var_os("HOLDFAST_HACTL").map(PathBuf::from)
            && path.exists()
        {
            return path;
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--bin", "hactl"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(status.success(), "hactl does not build");
        // This test is TARGET/PROFILE/deps/lab-HASH.
        let this = std::env::current_exe().expect("this test has a file");
        this.parent().and_then(Path::parent).expect("a profile's directory").join("hactl")
    })
}

/// A closing result, and the lab's files until it is dropped.
pub(crate) struct Closing(Value, PathBuf);

impl Drop for Closing {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

/// A VM of the node that failed.
pub(crate) struct Vm {
    pub(crate) evacuations: u64,
    pub(crate) moved: bool,
}

/// Runs a lab to its end, which must be a good one.
pub(crate) fn lab(words: &[&str]) -> Closing {
    let _alone = alone();
    static LABS: AtomicU64 = AtomicU64::new(0);
    let name =
        format!("holdfast-labs-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    let mut command = Command::new(program());
    command.args(["lab", "--json", "--dir"]).arg(&dir).args(words);
    let output = command.output().expect("hactl runs");
    let Output { status, stdout, stderr } = output;
    let told = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{words:?}: {status}\n{told}");
    let closing: Value = serde_json::from_slice(&stdout).expect("a closing result");
    let closing = Closing(closing, dir);
    eprintln!("{words:?} {closing}");
    assert_eq!(closing.0["ok"], true, "{told}");
    closing
}

/// Runs a lab that prints a page and must end well.
#[allow(dead_code, reason = "the test with a real Nova has no such lab")]
pub(crate) fn page(words: &[&str]) -> String {
    let _alone = alone();
    let output = Command::new(program()).arg("lab").args(words).output().expect("hactl runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {}\n{page}\n{told}", output.status);
    page
}

impl Closing {
    /// The lab's files.
    pub(crate) fn dir(&self) -> &Path {
        &self.1
    }

    /// The node that failed.
    pub(crate) fn node(&self) -> &str {
        self.0["node"].as_str().unwrap_or_default()
    }

    /// When it failed, on the wall clock.
    pub(crate) fn fault_ms(&self) -> u64 {
        self.0["fault_ms"].as_u64().expect("a time")
    }

    pub(crate) fn evidence(&self) -> &str {
        self.0["evidence"].as_str().unwrap_or_default()
    }

    pub(crate) fn incident(&self) -> &str {
        self.0["incident"].as_str().unwrap_or_default()
    }

    pub(crate) fn killed(&self) -> &str {
        self.0["killed"].as_str().unwrap_or_default()
    }

    /// Seconds from the fault to a phase, which must have come.
    pub(crate) fn phase(&self, name: &str) -> f64 {
        let at = self.0["since_fault"][name].as_f64();
        at.unwrap_or_else(|| panic!("no {name}: {self}"))
    }

    pub(crate) fn vms(&self) -> Vec<Vm> {
        let vms = self.0["vms"].as_array().expect("a list of VMs");
        vms.iter()
            .map(|vm| Vm {
                evacuations: vm["evacuations"].as_u64().expect("a count"),
                moved: vm["to"].is_string() && vm["to"] != vm["from"],
            })
            .collect()
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Processes of a lab that runs, and its directory.
pub(crate) struct Running {
    process: Child,
    pub(crate) dir: PathBuf,
    urls: String,
}

impl Running {
    /// What `hactl WORDS --json` prints of this lab.
    pub(crate) fn hactl(&self, words: &[&str]) -> Value {
        self.try_hactl(words).unwrap_or_else(|said| panic!("{words:?}: {said}"))
    }

    /// The same, while there may be nobody who answers; then what was said instead.
    pub(crate) fn try_hactl(&self, words: &[&str]) -> Result<Value, String> {
        let output = Command::new(program())
            .args(words)
            .arg("--json")
            .env("HOLDFAST_CONTROLLERS", &self.urls)
            .env("HOLDFAST_TOKEN_FILE", self.dir.join("token"))
            .output()
            .expect("hactl runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).map_err(|_| said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The lab ends all that it started when it ends itself, whatever ends it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a lab and waits until it goes on by itself.
pub(crate) fn running(words: &[&str]) -> Running {
    let mut process = Command::new(program())
        .arg("lab")
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("hactl runs");
    let (mut dir, mut goes_on) = (None, false);
    for line in BufReader::new(process.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        if let Some(path) = line.strip_prefix("files in ") {
            dir = Some(PathBuf::from(path));
        }
        goes_on |= line.starts_with("It goes on running");
        if let Some(urls) = line.trim().strip_prefix("export HOLDFAST_CONTROLLERS=")
            && goes_on
        {
            let dir = dir.expect("it names its directory first");
            assert!(!children(&dir).is_empty(), "no children are found, so the test sees nothing");
            return Running { process, dir, urls: urls.to_owned() };
        }
    }
    panic!("the lab ended: {:?}", process.wait());
}

/// Command lines of processes that were started for this lab: they name its directory.
fn children(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").expect("a /proc");
    let lines = processes.flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains(&dir) && line.contains(" internal ")).then_some(line)
    });
    lines.collect()
}

/// What is left of a lab a while after its end.
fn left(mut running: Running, dir_too: bool) -> Vec<String> {
    running.process.wait().expect("it ends");
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = children(&running.dir);
        if dir_too && running.dir.exists() {
            left.push(running.dir.display().to_string());
        }
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a lab, sends it what Ctrl-C sends, and tells what is left.
pub(crate) fn interrupted(words: &[&str]) -> Vec<String> {
    let _alone = alone();
    let running = running(words);
    signal(&running, "-INT");
    left(running, true)
}

/// Starts a lab, kills it, and tells which processes are left. Its files stay, for nobody is there to remove them.
pub(crate) fn killed(words: &[&str]) -> Vec<String> {
    let _alone = alone();
    let running = running(words);
    let dir = running.dir.clone();
    signal(&running, "-KILL");
    let left = left(running, false);
    let _ = std::fs::remove_dir_all(dir);
    left
}

fn signal(running: &Running, signal: &str) {
    let id = running.process.id().to_string();
    let status = Command::new("kill").args([signal, &id]).status().expect("kill runs");
    assert!(status.success());
}
