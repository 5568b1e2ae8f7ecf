use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fencing::checks::State;
use fencing::{BootId, NodeId};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::kernel_log::KernelLog;
use super::watch::{Due, Watch};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plan(pushed: bool) -> Plan {
    let (every, within) = (at(10), at(5));
    Plan { name: "disk".to_owned(), every, within, rise: 2, fall: 3, pushed }
}

fn said(state: State) -> Outcome {
    Outcome::new(state, 0, "")
}

/// What a watch says after each of these outcomes, ten seconds apart.
fn states(outcomes: &[State]) -> Vec<State> {
    let mut watch = Watch::new(plan(false), at(0), at(0));
    let mut seen = Vec::new();
    for (outcome, step) in outcomes.iter().zip(0_u64..) {
        let now = at(10 * step);
        let Due::Run(run) = watch.timeout(now) else { panic!("not due at {now:?}") };
        watch.ended(now + SECOND, run, said(*outcome));
        seen.push(watch.told(now).state);
    }
    seen
}

#[test]
fn a_check_counts_when_it_has_said_so_often_enough() {
    use State::{Critical, Ok, Unknown, Warning};
    // Well at once, failed after three in a row, well again after two.
    assert_eq!(
        states(&[Ok, Critical, Critical, Ok, Critical, Critical, Critical, Ok, Ok]),
        [Ok, Ok, Ok, Ok, Ok, Ok, Critical, Critical, Ok]
    );
    // What is bad in turns counts as the mildest of them.
    assert_eq!(states(&[Ok, Critical, Warning, Critical]), [Ok, Ok, Ok, Warning]);
    // Nothing is known at first, and nothing bad is believed at once.
    assert_eq!(states(&[Critical, Critical, Critical]), [Unknown, Unknown, Critical]);
    // A check that breaks says nothing any more, after a while.
    assert_eq!(states(&[Ok, Unknown, Unknown, Unknown]), [Ok, Ok, Ok, Unknown]);
}

#[test]
fn a_run_that_hangs_is_the_only_one_and_counts_as_a_failure_each_time() {
    let mut watch = Watch::new(plan(false), at(0), at(0));
    assert_eq!(watch.timeout(at(0)), Due::Run(1));
    let late = at(5) + SECOND / 2;
    assert_eq!(watch.due(), Some(late));
    for step in 0..2 {
        assert_eq!(watch.timeout(late + at(10 * step)), Due::Nothing, "{step}");
    }
    assert_eq!(watch.timeout(late + at(20)), Due::Changed);
    let told = watch.told(at(26));
    assert_eq!((told.state, told.before), (State::Critical, State::Unknown));
    assert_eq!(told.message, "did not end within 5s");
    // When it comes back it says what was so long ago.
    assert!(!watch.ended(at(27), 1, said(State::Ok)));
    assert_eq!(watch.timeout(at(27)), Due::Run(2));
}

#[test]
fn what_is_pushed_must_be_pushed_again_in_time() {
    let mut watch = Watch::new(Plan { fall: 1, ..plan(true) }, at(0), at(0));
    assert_eq!(watch.due(), None);
    assert!(watch.pushed(at(3), said(State::Ok)));
    assert_eq!(watch.due(), Some(at(13)));
    assert_eq!(watch.timeout(at(13)), Due::Changed);
    assert_eq!(watch.told(at(13)).message, "nothing was pushed for 10s");
}

fn checks(many: usize) -> Checks {
    let plans = (0..many).map(|n| Plan { name: format!("check-{n}"), fall: 1, ..plan(false) });
    let who = (NodeId(Uuid::from_u128(1)), BootId(Uuid::from_u128(2)), 7);
    Checks::new(at(0), who, plans.collect(), &mut ChaCha8Rng::seed_from_u64(1))
}

#[test]
fn changes_go_over_all_networks_at_once_and_a_digest_over_one_now_and_then() {
    let mut checks = checks(1);
    let mut told = Vec::new();
    let mut now = at(0);
    while now < at(60) {
        let mut deeds = Vec::new();
        checks.timeout(now, &mut deeds);
        let runs = deeds.iter().filter_map(|deed| match deed {
            Deed::Run { check, run } => Some((*check, *run)),
            Deed::Tell(..) => None,
        });
        for run in runs.collect::<Vec<(u8, u64)>>() {
            let state = if now < at(30) { State::Ok } else { State::Critical };
            checks.ended(now, run, said(state), &mut deeds);
        }
        told.extend(deeds.into_iter().filter_map(|deed| match deed {
            Deed::Tell(report, over) => Some((report, over)),
            Deed::Run { .. } => None,
        }));
        now = checks.poll_timeout().expect("there is a check").0;
    }
    let changes: Vec<_> = told.iter().filter(|(report, _)| !report.checks.is_empty()).collect();
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|(_, over)| *over == Over::All));
    assert_eq!(changes[1].0.checks[0].before, State::Ok);
    assert_eq!((changes[1].0.of, changes[1].0.turns, changes[1].0.life), (1, 3, 7));
    let beats: Vec<_> = told.iter().filter(|(_, over)| *over != Over::All).collect();
    assert_eq!(beats.len(), 6);
    assert!(!checks.is_calm());
}

#[test]
fn who_asks_is_told_all_of_it_but_not_without_end() {
    let mut checks = checks(12);
    let parts = checks.answers(at(1), 9);
    assert_eq!(parts.iter().map(|part| part.checks.len()).collect::<Vec<_>>(), [5, 5, 2]);
    assert!(parts.iter().all(|part| part.answers == Some(9) && part.of == 12));
    let answered = (0..100).filter(|nonce| !checks.answers(at(1), *nonce).is_empty()).count();
    assert_eq!(answered, 15);
    assert!(!checks.answers(at(2), 1).is_empty());
}

#[test]
fn an_agent_without_checks_says_and_draws_nothing() {
    let checks = checks(0);
    assert_eq!(checks.poll_timeout(), None);
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("holdfast-checks-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn shell(text: &str) -> Vec<String> {
    ["/bin/sh", "-c", text].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_script_says_by_its_exit_code_how_it_is() {
    let ended = script::run(&shell("echo 'DISK OK | used=5'; exit 0"), SECOND).await;
    assert_eq!(ended, Outcome::ok("DISK OK"));
    for (code, state) in [(1, State::Warning), (2, State::Critical), (3, State::Unknown)] {
        let ended = script::run(&shell(&format!("exit {code}")), SECOND).await;
        assert_eq!((ended.state, ended.code), (state, code));
    }
    let none = script::run(&["/nonexistent".to_owned()], SECOND).await;
    assert_eq!(none.state, State::Unknown, "{none:?}");
    let killed = script::run(&shell("kill -9 $$"), SECOND).await;
    assert_eq!(killed.state, State::Unknown, "{killed:?}");
    // More than a pipe holds.
    let long = script::run(&shell("head -c 300000 /dev/zero; exit 1"), at(10)).await;
    assert_eq!(long.state, State::Warning);
}

#[tokio::test]
async fn a_script_that_hangs_is_killed_with_all_that_it_began() {
    let file = scratch("group").join("pid");
    let text = format!("sleep 600 & echo $! > {}; wait", file.display());
    let began = Instant::now();
    let ended = script::run(&shell(&text), Duration::from_millis(500)).await;
    assert_eq!(ended.state, State::Critical, "{ended:?}");
    assert!(began.elapsed() < at(5), "{:?}", began.elapsed());
    let pid = fs::read_to_string(&file).expect("it began").trim().to_owned();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(status.is_empty() || status.contains(") Z"), "{status}");
}

#[tokio::test]
async fn a_script_whose_child_holds_its_output_is_not_waited_for() {
    let began = Instant::now();
    let ended = script::run(&shell("echo fine; sleep 3 & exit 0"), at(10)).await;
    assert_eq!(ended, Outcome::ok("fine"));
    assert!(began.elapsed() < at(2), "{:?}", began.elapsed());
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[tokio::test]
async fn a_port_is_open_or_closed_and_a_closed_one_answers_a_ping() {
    let (open, address) = listener().await;
    assert_eq!(tcp::connect(address, SECOND).await.state, State::Ok);
    drop(open);
    let closed = tcp::connect(address, SECOND).await;
    assert_eq!(closed.state, State::Critical, "{closed:?}");
    let limits = (at(1), at(1));
    assert_eq!(tcp::ping(address, SECOND * 2, limits).await.state, State::Ok);
    let none = (Duration::ZERO, at(1));
    assert_eq!(tcp::ping(address, SECOND * 2, none).await.state, State::Warning);
    let none = (Duration::ZERO, Duration::ZERO);
    assert_eq!(tcp::ping(address, SECOND * 2, none).await.state, State::Critical);
}

#[tokio::test]
async fn a_page_is_judged_by_its_status_and_its_text() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\nall is well",
            "HTTP/1.1 503 Busy\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nnothing",
            "SSH-2.0-x\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.expect("somebody asks");
            // A connection that is closed with a question unread is reset, and the answer may be lost.
            let _ = stream.read(&mut [0; 1024]).await.expect("the question");
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
        // Takes the connection, and says nothing.
        let _held = listener.accept().await;
        std::future::pending::<()>().await;
    });
    let contains = Some("well".to_owned());
    let page = Page { address, path: "/".to_owned(), status: Vec::new(), contains };
    let mut seen = Vec::new();
    for _ in 0..5 {
        let outcome = http::ask(&page, SECOND).await;
        seen.push((outcome.state, outcome.code));
    }
    let bad = State::Critical;
    assert_eq!(seen[..4], [(State::Ok, 200), (bad, 503), (bad, 200), (bad, 0)]);
    assert_eq!(seen[4].0, bad);
}

#[test]
fn a_line_of_the_kernel_counts_for_a_while() {
    let path = scratch("kmsg").join("kmsg");
    let mut log = KernelLog::new(Patterns {
        path: path.clone(),
        patterns: vec!["blocked for more than".to_owned()],
        remember: at(600),
        state: State::Critical,
    });
    assert_eq!(log.look().state, State::Unknown);
    // The kernel's clock, long ago; and a line that is cut in the middle.
    fs::write(&path, "6,1,0,-;all is well\n3,2,1,-;INFO: task x blocked for more than 120 s\n3,3,")
        .expect("written");
    let up = fs::read_to_string("/proc/uptime").expect("linux");
    let up: f64 = up.split(' ').next().and_then(|up| up.parse().ok()).expect("a number");
    let old = if up > 700.0 { State::Ok } else { State::Critical };
    assert_eq!(log.look().state, old);
    let now = (up * 1e6) as u64;
    let mut text = fs::read_to_string(&path).expect("there");
    text.push_str(&format!("{now},-;INFO: task y blocked for more than 120 s\n"));
    fs::write(&path, text).expect("written");
    let found = log.look();
    assert_eq!(found.state, State::Critical);
    assert_eq!(found.message, "INFO: task y blocked for more than 120 s");
}

#[test]
fn a_directory_is_tried_by_one_process_at_a_time() {
    let dir = scratch("mount");
    let lock = dir.join("lock");
    assert_eq!(try_mount(&lock, &dir).state, State::Ok);
    assert_eq!(try_mount(&lock, &dir.join("absent")).state, State::Critical);
    let file = fs::File::open(&lock).expect("it was made");
    let held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).expect("free");
    let second = try_mount(&lock, &dir);
    assert_eq!(second.state, State::Critical);
    assert!(second.message.contains("hangs since an earlier try"), "{second:?}");
    drop(held);
}

#[test]
fn the_hottest_sensor_and_the_slowest_fan_count() {
    let dir = scratch("hwmon");
    let chip = dir.join("hwmon0");
    fs::create_dir_all(&chip).expect("a directory");
    let write = |file: &str, text: &str| fs::write(chip.join(file), text).expect("written");
    assert_eq!(temperature::temperature(&dir, 85, 95).state, State::Unknown);
    assert_eq!(temperature::fans(&dir).state, State::Unknown);
    write("name", "coretemp\n");
    write("temp1_input", "40000\n");
    write("temp2_input", "90000\n");
    let hot = temperature::temperature(&dir, 85, 95);
    assert_eq!((hot.state, hot.message.as_str()), (State::Warning, "coretemp temp2 has 90 C"));
    write("fan1_input", "900\n");
    assert_eq!(temperature::fans(&dir).state, State::Ok);
    write("fan1_min", "1000\n");
    assert_eq!(temperature::fans(&dir).state, State::Critical);
}
