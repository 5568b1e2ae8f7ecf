//! The client against controllers that a test plays: no controller, a wrong token, another leader, an answer that is lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod made_up;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use api::{Done, Failure, Request, Scope};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hactl::{Ask, Exit, Outcome, Terminal};

/// What a controller of a test does.
#[derive(Clone, Debug)]
enum Plays {
    Leader,
    Follower {
        leader: Option<String>,
    },
    Foreign,
    /// Takes an order and never answers.
    Mute,
}

#[derive(Clone)]
struct Controller {
    plays: Plays,
    orders: Arc<Mutex<Vec<Request>>>,
}

impl Controller {
    fn answer(&self, headers: &HeaderMap, body: impl FnOnce() -> Response) -> Response {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        if token != Some("Bearer right") {
            return (StatusCode::UNAUTHORIZED, Json(Failure::NotAllowed)).into_response();
        }
        match &self.plays {
            Plays::Leader | Plays::Mute => body(),
            Plays::Follower { leader } => {
                let failure = Failure::NotLeader { leader: Some(2), url: leader.clone() };
                (StatusCode::MISDIRECTED_REQUEST, Json(failure)).into_response()
            }
            Plays::Foreign => {
                (StatusCode::BAD_GATEWAY, "<html>\u{1b}[31mproxy</html>").into_response()
            }
        }
    }
}

async fn state(State(controller): State<Controller>, headers: HeaderMap) -> Response {
    controller.answer(&headers, || Json(made_up::in_trouble()).into_response())
}

async fn order(
    State(controller): State<Controller>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    let orders = Arc::clone(&controller.orders);
    if matches!(controller.plays, Plays::Mute) {
        orders.lock().unwrap().push(request);
        // The connection ends without an answer, as when a controller is killed.
        panic!("played: the controller dies with the order in its hands");
    }
    controller.answer(&headers, || {
        let refused = matches!(&request, Request::Release { .. });
        orders.lock().unwrap().push(request);
        if refused {
            let why = "a VM of node-3 is still in doubt: db-2; see hactl incidents 11".to_owned();
            return (StatusCode::CONFLICT, Json(Failure::Refused { why })).into_response();
        }
        Json(Done { index: 1044, said: "done as ordered".to_owned() }).into_response()
    })
}

/// Its URL, and the orders that reach it.
async fn start(plays: Plays) -> (String, Arc<Mutex<Vec<Request>>>) {
    let orders = Arc::default();
    let controller = Controller { plays, orders: Arc::clone(&orders) };
    let router = Router::new()
        .route("/v1/state", get(state))
        .route("/v1/do", post(order))
        .with_state(controller);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, orders)
}

/// A URL at which nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn token(text: &str) -> PathBuf {
    // A file of its own each time: tests run side by side.
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("hactl-token-{}-{number}", std::process::id()));
    std::fs::write(&file, text).unwrap();
    file
}

async fn hactl_as(
    terminal: &mut Terminal,
    urls: &[&str],
    token_text: &str,
    words: &[&str],
) -> Outcome {
    let file = token(token_text);
    let (urls, file) = (urls.join(","), file.to_str().unwrap().to_owned());
    let mut all = vec!["hactl", "--controllers", &urls, "--token-file", &file];
    all.extend(words);
    let outcome = hactl::run_words(all, terminal).await;
    std::fs::remove_file(&file).unwrap();
    outcome
}

async fn hactl(urls: &[&str], words: &[&str]) -> Outcome {
    let mut terminal = Terminal::plain();
    terminal.person = Some("alice".to_owned());
    hactl_as(&mut terminal, urls, "right\n", words).await
}

#[tokio::test]
async fn without_any_controller_it_names_what_it_tried() {
    let (one, two) = (nobody().await, nobody().await);
    let outcome = hactl(&[&one, &two], &["status"]).await;
    assert_eq!(outcome.exit, Exit::Unreachable);
    let wanted = format!(
        "hactl: no controller answers\n  {one}  Connection refused (os error 111)\n  {two}  Connection refused (os error 111)\n\
         Is ha-controller running there, and are these its URLs (--controllers, HOLDFAST_CONTROLLERS)?\n"
    );
    assert_eq!(outcome.err, wanted);
}

#[tokio::test]
async fn one_that_is_down_does_not_matter() {
    let (down, (up, _)) = (nobody().await, start(Plays::Leader).await);
    let outcome = hactl(&[&down, &up], &["nodes"]).await;
    assert_eq!(outcome.exit, Exit::Fine, "{outcome:?}");
    assert!(outcome.out.contains("node-6"), "{}", outcome.out);
}

#[tokio::test]
async fn what_nodes_send_is_asked_and_what_is_reckoned_needs_nobody() {
    let (down, (up, _)) = (nobody().await, start(Plays::Leader).await);
    let calc = ["gossip", "calc"];
    let measured = hactl(&[&down, &up], &calc).await;
    assert_eq!(measured.exit, Exit::Fine, "{measured:?}");
    assert!(measured.out.contains("told by 3 of 6 nodes"), "{}", measured.out);
    for (urls, token, why) in [
        (&[&down[..]], "right", "no controller answered"),
        (&[&up[..]], "wrong", "does not accept the token"),
    ] {
        let alone = hactl_as(&mut Terminal::plain(), urls, token, &calc).await;
        assert_eq!((alone.exit, alone.err.as_str()), (Exit::Fine, ""));
        assert!(
            alone.out.contains("41.0") && alone.out.contains("not measured: "),
            "{}",
            alone.out
        );
        assert!(alone.out.contains(why), "{}", alone.out);
    }
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_said_and_never_shown() {
    let (url, _) = start(Plays::Leader).await;
    let wrong = hactl_as(&mut Terminal::plain(), &[&url], "not-the-token", &["status"]).await;
    assert_eq!(wrong.exit, Exit::Failed);
    assert!(wrong.err.contains("does not accept the token"), "{}", wrong.err);
    assert!(!wrong.err.contains("not-the-token"), "{}", wrong.err);
    let missing =
        hactl::run_words(["hactl", "--controllers", &url, "status"], &mut Terminal::plain()).await;
    assert!(missing.err.contains("none was given"), "{}", missing.err);
    let no_file = ["hactl", "--controllers", &url, "--token-file", "/no/such", "status"];
    assert_eq!(hactl::run_words(no_file, &mut Terminal::plain()).await.exit, Exit::Usage);
}

#[tokio::test]
async fn the_leader_that_another_names_is_asked() {
    let (leader, orders) = start(Plays::Leader).await;
    let (follower, _) = start(Plays::Follower { leader: Some(leader.clone()) }).await;
    let outcome = hactl(&[&follower], &["noop", "on"]).await;
    assert_eq!(
        (outcome.exit, outcome.out.as_str()),
        (Exit::Fine, "done as ordered\ncommitted at index 1044\n")
    );
    assert_eq!(*orders.lock().unwrap(), [Request::Noop { on: true }]);
}

#[tokio::test]
async fn controllers_that_name_each_other_are_each_asked_once() {
    let (a, _) = start(Plays::Follower { leader: None }).await;
    let (b, _) = start(Plays::Follower { leader: Some(a.clone()) }).await;
    let outcome = hactl(&[&b, &a], &["status"]).await;
    assert_eq!(outcome.exit, Exit::Unreachable);
    assert_eq!(outcome.err.matches("does not lead").count(), 2, "{}", outcome.err);
    assert!(outcome.err.contains("no controller leads at the moment"), "{}", outcome.err);
}

#[tokio::test]
async fn an_answer_of_something_else_cannot_drive_the_terminal() {
    let (url, _) = start(Plays::Foreign).await;
    let outcome = hactl(&[&url], &["status"]).await;
    assert_eq!(outcome.exit, Exit::Unreachable);
    assert!(
        outcome.err.contains("HTTP 502 Bad Gateway: <html>?[31mproxy</html>"),
        "{}",
        outcome.err
    );
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_never_sent_again() {
    let (mute, at_mute) = start(Plays::Mute).await;
    let (leader, at_leader) = start(Plays::Leader).await;
    let words = ["fence", "node-2", "--yes", "--reason", "drill"];
    let outcome = hactl(&[&mute, &leader], &words).await;
    assert_eq!(outcome.exit, Exit::Failed);
    assert!(
        outcome.err.contains("it is not known whether this was carried out"),
        "{}",
        outcome.err
    );
    assert_eq!((at_mute.lock().unwrap().len(), at_leader.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_remedy() {
    let (url, _) = start(Plays::Leader).await;
    let outcome = hactl(&[&url], &["fenced", "release", "node-3", "--reason", "repaired"]).await;
    assert_eq!(outcome.exit, Exit::Failed);
    assert_eq!(
        outcome.err,
        "hactl: refused: a VM of node-3 is still in doubt: db-2; see hactl incidents 11\n"
    );
}

#[tokio::test]
async fn a_person_must_type_the_name_before_a_word_becomes_evidence() {
    let (url, orders) = start(Plays::Leader).await;
    let words = ["fenced", "confirm", "node-2", "--reason", "pulled both cords"];
    let alone = hactl(&[&url], &words).await;
    assert_eq!(alone.exit, Exit::Usage);
    assert!(alone.err.contains("--typed"), "{}", alone.err);
    for (types, exit) in [("node-1", Exit::Failed), ("", Exit::Failed), ("node-2", Exit::Fine)] {
        let shown = Arc::new(Mutex::new(String::new()));
        let mut terminal = Terminal::plain();
        terminal.person = Some("alice".to_owned());
        let seen = Arc::clone(&shown);
        terminal.ask = Some(Ask::new(move |question| {
            seen.lock().unwrap().push_str(question);
            Some(types.to_owned())
        }));
        let outcome = hactl_as(&mut terminal, &[&url], "right\n", &words).await;
        assert_eq!(outcome.exit, exit, "{types}: {outcome:?}");
        let shown = shown.lock().unwrap();
        assert!(
            shown.contains("heard last 64.3 s ago") && shown.contains("they run twice"),
            "{shown}"
        );
    }
    let typed = [&words[..], &["--typed", "node-2", "--person", "bob"]].concat();
    assert_eq!(hactl(&[&url], &typed).await.exit, Exit::Fine);
    let confirm = |person: &str| Request::Confirm {
        node: "node-2".to_owned(),
        typed: "node-2".to_owned(),
        reason: "pulled both cords".to_owned(),
        person: person.to_owned(),
    };
    assert_eq!(*orders.lock().unwrap(), [confirm("alice"), confirm("bob")]);
}

#[tokio::test]
async fn fencing_by_hand_asks_and_takes_only_a_yes() {
    let (url, orders) = start(Plays::Leader).await;
    let words = ["fence", "node-7", "--reason", "drill"];
    assert_eq!(hactl(&[&url], &words).await.exit, Exit::Usage);
    for (says, sent) in [("", 0), ("n", 0), ("y", 1)] {
        let mut terminal = Terminal::plain();
        terminal.person = Some("alice".to_owned());
        terminal.ask = Some(Ask::new(move |_| Some(says.to_owned())));
        let _ = hactl_as(&mut terminal, &[&url], "right\n", &words).await;
        assert_eq!(orders.lock().unwrap().len(), sent, "{says}");
    }
}

#[tokio::test]
async fn orders_say_what_the_words_say() {
    let (url, orders) = start(Plays::Leader).await;
    for words in [
        &["maintenance", "node-1", "on", "--reason", "firmware"][..],
        &["maintenance", "node-1", "off"],
        &["disarm", "--reason", "switch"],
        &["disarm", "node-1", "node-2", "--reason", "rack"],
        &["arm"],
    ] {
        let outcome = hactl(&[&url], words).await;
        assert_eq!(outcome.exit, Exit::Fine, "{words:?} {outcome:?}");
    }
    let person = || "alice".to_owned();
    let maintenance = |on, reason: &str| Request::Maintenance {
        node: "node-1".to_owned(),
        on,
        reason: reason.to_owned(),
        person: person(),
        minutes: None,
        migrate: false,
    };
    let disarm = |scope, reason: &str| Request::Disarm {
        scope,
        reason: reason.to_owned(),
        person: person(),
        minutes: None,
    };
    let wanted = [
        maintenance(true, "firmware"),
        maintenance(false, "the work is over"),
        disarm(Scope::All, "switch"),
        disarm(Scope::Node("node-1".to_owned()), "rack"),
        disarm(Scope::Node("node-2".to_owned()), "rack"),
        Request::Arm { scope: Scope::All, person: person() },
    ];
    assert_eq!(*orders.lock().unwrap(), wanted);
    for words in [&["maintenance", "node-1", "on"][..], &["disarm"], &["disarm", "--reason", " "]] {
        assert_eq!(hactl(&[&url], words).await.exit, Exit::Usage, "{words:?}");
    }
}

#[tokio::test]
async fn applying_a_matrix_tells_what_it_changes_first() {
    let (url, orders) = start(Plays::Leader).await;
    let text = include_str!("made_up/matrix.toml");
    let harsher = text.replacen("[\"notify\"]", "[\"fence\", \"evacuate\"]", 1);
    let file = std::env::temp_dir().join(format!("hactl-matrix-{}.toml", std::process::id()));
    std::fs::write(&file, &harsher).unwrap();
    let name = file.to_str().unwrap();
    let dry = hactl(&[&url], &["matrix", "apply", name, "--dry-run"]).await;
    assert_eq!((dry.exit, orders.lock().unwrap().len()), (Exit::Fine, 0), "{dry:?}");
    assert!(dry.out.contains("newly fences"), "{}", dry.out);
    let done = hactl(&[&url], &["matrix", "apply", name]).await;
    assert_eq!((done.exit, orders.lock().unwrap().len()), (Exit::Fine, 1), "{done:?}");
    std::fs::write(&file, "networks = 1").unwrap();
    let bad = hactl(&[&url], &["matrix", "apply", name]).await;
    assert_eq!((bad.exit, orders.lock().unwrap().len()), (Exit::Failed, 1), "{bad:?}");
    std::fs::remove_file(&file).unwrap();
    let running = hactl(&[&url], &["matrix", "show", "--running"]).await;
    assert_eq!(running.out, text);
}
