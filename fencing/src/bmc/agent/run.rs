//! The shell: one run of the program, in a process group of its own.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::{Instant, timeout, timeout_at};

use super::protocol::{Ended, how_it_failed, input, off, status};
use super::{Action, AgentFailure, AgentTarget, Metadata};
use crate::bmc::{Ask, Failure, Identity, Reply};

/// Most bytes that are read of each of its outputs.
const MOST: u64 = 256 << 10;
/// How long its outputs may stay open after its end, by children that left its group.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// How long the end of a killed program is waited for; one in the kernel may take for ever.
const DYING: Duration = Duration::from_secs(1);
/// Runs the agent, and kills it and its group when its time is over even where this process hangs,
/// sleeps or is dead by then: an off must not leave late.
const TIMEOUT: &str = "/usr/bin/timeout";
/// How `timeout` itself ends when it has killed: 128 and the number of the signal.
const KILLED: i32 = 137;
/// It and we look at different clocks.
const ABOUT: Duration = Duration::from_millis(200);
/// Where agents find the programs that they call.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Asks one question by running the agent; returns within `deadline` and a moment. Nothing of its run
/// is alive after that, so an off cannot leave later. With `expect`, nothing is run unless program and
/// parameters are those that were enrolled.
///
/// It never fails to return a [`Reply`]; dropping the future kills the run.
pub async fn ask(
    target: &AgentTarget,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
) -> Reply {
    let limit = Instant::now() + deadline;
    let reply = match answer(target, ask, expect, limit).await {
        Ok(reply) => reply,
        Err(failure) => Reply::Failed(failure),
    };
    tracing::debug!(program = %target.program().display(), %ask, %reply, "asked");
    reply
}

async fn answer(
    target: &AgentTarget,
    ask: Ask,
    expect: Option<Identity>,
    limit: Instant,
) -> Result<Reply, Failure> {
    let identity = target.identity();
    if let (Ask::Off, Some(expected)) = (ask, expect)
        && expected != identity
    {
        return Err(Failure::WrongIdentity { expected, read: Some(identity) });
    }
    // Each time anew: the program may have been replaced since, and it is not costly.
    let metadata = describe(target, limit).await?;
    metadata.check(target.named())?;
    let action = match ask {
        Ask::Off => Action::Off,
        Ask::Read => Action::Status,
    };
    let ended = run(target, action, Some(&metadata), limit).await?;
    Ok(match ask {
        Ask::Off => off(target, identity, &ended),
        Ask::Read => status(target, identity, &ended),
    })
}

pub(super) async fn describe(
    target: &AgentTarget,
    limit: Instant,
) -> Result<Metadata, AgentFailure> {
    let ended = run(target, Action::Metadata, None, limit).await?;
    if ended.code != Some(0) {
        return Err(how_it_failed(target, Action::Metadata, &ended));
    }
    Metadata::parse(&ended.output)
}

/// Kills the process group when it is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody may be left in it, which is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

pub(super) async fn run(
    target: &AgentTarget,
    action: Action,
    metadata: Option<&Metadata>,
    limit: Instant,
) -> Result<Ended, AgentFailure> {
    let cannot = |error: std::io::Error| AgentFailure::CannotStart(error.to_string());
    let left = limit.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(AgentFailure::OutOfTime(action));
    }
    let mut child = Command::new(TIMEOUT)
        .arg("--signal=KILL")
        .arg(format!("{:.3}", left.as_secs_f64()))
        .arg(target.program())
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    // The child leads its group, so the group has its number.
    let number = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let group = Group(number);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let text = input(target, action, metadata);
    let talk = tokio::spawn(async move {
        let write = async {
            if let Some(mut stdin) = stdin {
                // An agent that reads nothing has its reasons, and its own exit code.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let ((), output, errors) = tokio::join!(write, bounded(stdout), bounded(stderr));
        (output, errors)
    });
    let ended = timeout_at(limit, child.wait()).await;
    // What it left behind may still speak to the device: nothing of it survives.
    drop(group);
    let Ok(ended) = ended else {
        let _ = timeout(DYING, child.wait()).await;
        talk.abort();
        return Err(AgentFailure::OutOfTime(action));
    };
    let ended = ended.map_err(cannot)?;
    if ended.code().is_none_or(|code| code == KILLED) && Instant::now() + ABOUT >= limit {
        talk.abort();
        return Err(AgentFailure::OutOfTime(action));
    }
    let Ok(Ok((Some(output), Some(errors)))) = timeout(LEFTOVERS, talk).await else {
        return Err(AgentFailure::TooMuch(action));
    };
    Ok(Ended { code: ended.code(), output, errors })
}

/// All that comes, as far as it is text; `None` where it is too much.
async fn bounded(from: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What could not be read is missing, and then the words say nothing.
        let _ = from.take(MOST + 1).read_to_end(&mut bytes).await;
    }
    let whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= MOST);
    whole.then(|| String::from_utf8_lossy(&bytes).into_owned())
}
