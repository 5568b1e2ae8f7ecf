//! A program whose exit code says how it is, as plug-ins of Nagios do.

use std::process::Stdio;
use std::time::Duration;

use fencing::checks::State;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::plan::Outcome;

/// What a program may say; its first line is kept.
const MOST_OUTPUT: usize = 4096;
/// A program that has ended may have left its output to another one, which is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Nothing else of the agent's environment is handed on.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs it. After `within` it is killed with all of its process group, and then waited for as long as it takes: one that
/// cannot even be killed is the only one of its kind.
pub(super) async fn run(command: &[String], within: Duration) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Outcome::unknown("no command");
    };
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Outcome::unknown(&format!("cannot run {program}: {error}")),
    };
    match tokio::time::timeout(within, ended(&mut child)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            kill(&child);
            // It was asked to end; there is nothing that its exit code could add.
            let _ = child.wait().await;
            Outcome::critical(0, &format!("did not end within {within:?}, and was killed"))
        }
    }
}

async fn ended(child: &mut Child) -> Outcome {
    let mut said = Vec::new();
    let status = match child.stdout.take() {
        None => child.wait().await,
        Some(mut stdout) => {
            let status = tokio::select! {
                status = child.wait() => status,
                () = read(&mut stdout, &mut said) => child.wait().await,
            };
            // The program has ended: what it said before lies in the pipe.
            let _ = tokio::time::timeout(LAST_WORDS, read(&mut stdout, &mut said)).await;
            status
        }
    };
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().next().unwrap_or_default();
    // What follows the bar are numbers for a graph.
    let first = first.split('|').next().unwrap_or_default();
    match status.map(|status| status.code()) {
        Ok(Some(code)) => Outcome::new(State::of_exit(code), code, first),
        Ok(None) => Outcome::unknown("it was killed by a signal"),
        Err(error) => Outcome::unknown(&format!("it cannot be waited for: {error}")),
    }
}

/// Reads to the end, and keeps the beginning: a program that says much must not hang on its pipe.
async fn read(from: &mut (impl AsyncRead + Unpin), said: &mut Vec<u8>) {
    let mut buffer = [0; 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            return;
        }
        let room = MOST_OUTPUT.saturating_sub(said.len());
        said.extend_from_slice(buffer.get(..length.min(room)).unwrap_or_default());
    }
}

fn kill(child: &Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    if let Some(group) = group {
        // It may just have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
    }
}
