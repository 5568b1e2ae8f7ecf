//! What people see: each page for a made-up state, the help of every command, and the bad matrices. `BLESS=1` rewrites the golden
//! files.
#![allow(missing_docs, clippy::unwrap_used)]

mod made_up;

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use hactl::{Cli, Exit, GUARDS, Look, Outcome, Terminal};

const PLAIN: Look = Look { colour: false, width: None };
const BARRED: &[&str] = &[
    "hypervisor",
    "master",
    "slave",
    "daemon",
    "heartbeat",
    "stonith",
    "suicide",
    "unfence",
    "cordon",
    "failover",
    "drain",
    "blacklist",
    "inquisitor",
    "poison",
    "remediat",
    "orphan",
    "strategy",
    "segment",
    "debounce",
    "veto",
    "omniscient",
    "workflow",
    "quarantined boot",
    "guest",
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

fn golden(name: &str, outcome: &Outcome) {
    let text = format!("{}{}exit {}\n", outcome.out, outcome.err, outcome.exit.code());
    golden_text(name, &text);
}

fn golden_text(name: &str, text: &str) {
    let file = here("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == text,
        "{} is now (BLESS=1 takes it):\n{text}\n--- was\n{wanted}",
        file.display()
    );
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn words(words: &[&str]) -> Outcome {
    block_on(hactl::run_words([&["hactl"], words].concat(), &mut Terminal::plain()))
}

#[test]
fn every_page_of_a_cluster_in_trouble() {
    let state = made_up::in_trouble();
    for (name, words) in [
        ("status.txt", &["status"][..]),
        ("nodes.txt", &["nodes"]),
        ("nodes_wide.txt", &["nodes", "--wide"]),
        ("nodes_refused.txt", &["nodes", "--refused"]),
        ("nodes_no_such.txt", &["nodes", "node-9"]),
        ("nodes_networks.txt", &["nodes", "--networks"]),
        ("net_matrix.txt", &["net", "matrix"]),
        ("net_matrix_one.txt", &["net", "matrix", "node-1", "--network", "storage"]),
        ("net_matrix_no_such.txt", &["net", "matrix", "--network", "stroage"]),
        ("net_graph.txt", &["net", "graph", "--network", "storage"]),
        ("check.txt", &["check"]),
        ("check_one.txt", &["check", "node-1"]),
        ("incidents.txt", &["incidents"]),
        ("incidents_open.txt", &["incidents", "--open"]),
        ("incident_blocked.txt", &["incidents", "12"]),
        ("incident_recovered.txt", &["incidents", "11"]),
        ("incident_no_such.txt", &["incidents", "99"]),
        ("dump.txt", &["dump"]),
        ("fenced_list.txt", &["fenced", "list"]),
        ("why_protected.txt", &["why", "node-1"]),
        ("why_blocked.txt", &["why", "node-2"]),
        ("why_out.txt", &["why", "node-3"]),
        ("why_suspect.txt", &["why", "node-4"]),
        ("why_maintenance.txt", &["why", "node-5"]),
        ("why_never_seen.txt", &["why", "node-6"]),
    ] {
        golden(name, &hactl::page(words, &state, PLAIN));
    }
}

#[test]
fn vms_are_shown_with_what_does_not_agree() {
    let vms = made_up::vms();
    for (name, words) in [
        ("vms.txt", &["vms"][..]),
        ("vms_of_a_node.txt", &["vms", "--node", "node-3"]),
        ("vms_problems.txt", &["vms", "--problems"]),
        ("vms_json.txt", &["vms", "--problems", "--json"]),
        ("vms_no_such.txt", &["vms", "--node", "node-9"]),
    ] {
        golden(name, &hactl::vms_page(words, &vms, PLAIN));
    }
    let early = api::Vms::default();
    golden("vms_early.txt", &hactl::vms_page(&["vms"], &early, PLAIN));
}

#[test]
fn on_a_narrow_terminal_pages_are_wrapped() {
    let look = Look { colour: false, width: Some(80) };
    let outcome = hactl::page(&["status"], &made_up::in_trouble(), look);
    golden("status_80_columns.txt", &outcome);
    let outcome = hactl::page(&["nodes"], &made_up::in_trouble(), look);
    golden("nodes_80_columns.txt", &outcome);
    assert!(outcome.out.lines().all(|line| line.chars().count() <= 80), "{}", outcome.out);
}

#[test]
fn a_cluster_that_is_well_says_so_and_needs_no_attention() {
    let outcome = hactl::page(&["status", "--exit-code"], &made_up::all_well(), PLAIN);
    assert_eq!(outcome.exit, Exit::Fine);
    golden("status_all_well.txt", &outcome);
    golden("check_all_well.txt", &hactl::page(&["check"], &made_up::all_well(), PLAIN));
    golden("incidents_none.txt", &hactl::page(&["incidents"], &made_up::all_well(), PLAIN));
}

#[test]
fn noop_disarm_and_holds_stand_first() {
    let mut state = made_up::all_well();
    state.noop = true;
    state.disarmed = Some("core switch is replaced (alice)".to_owned());
    let why = "the controllers started 40 s ago; it ends in 260 s".to_owned();
    state.holds = vec![api::Refusal { guard: "grace".to_owned(), why }];
    golden("status_held.txt", &hactl::page(&["status"], &state, PLAIN));
    golden("why_held.txt", &hactl::page(&["why", "node-1"], &state, PLAIN));
}

#[test]
fn only_where_it_is_asked_for_does_trouble_change_the_exit_code() {
    let state = made_up::in_trouble();
    assert_eq!(hactl::page(&["status"], &state, PLAIN).exit, Exit::Fine);
    assert_eq!(hactl::page(&["status", "--exit-code"], &state, PLAIN).exit, Exit::Attention);
    assert_eq!(
        hactl::page(&["status", "--exit-code", "--json"], &state, PLAIN).exit,
        Exit::Attention
    );
}

#[test]
fn json_is_what_the_controllers_said() {
    let state = made_up::in_trouble();
    let whole = serde_json::to_value(&state).unwrap();
    let read = |words: &[&str]| -> serde_json::Value {
        serde_json::from_str(&hactl::page(words, &state, PLAIN).out).unwrap()
    };
    assert_eq!(read(&["status", "--json"]), whole);
    assert_eq!(read(&["nodes", "--json"]), whole["nodes"]);
    assert_eq!(read(&["nodes", "node-2", "--json"])[0], whole["nodes"][1]);
    assert_eq!(read(&["incidents", "--json"]), whole["incidents"]);
    assert_eq!(read(&["incidents", "--open", "--json"]).as_array().unwrap().len(), 2);
    assert_eq!(read(&["incidents", "11", "--json"]), whole["incidents"][1]);
    assert_eq!(read(&["fenced", "list", "--json"]), whole["fenced"]);
    assert_eq!(read(&["why", "node-4", "--json"]), whole["nodes"][3]);
    let net = read(&["net", "matrix", "--network", "storage", "--json"]);
    assert_eq!(net[0]["sweeps"].as_array().unwrap().len(), 3);
    assert_eq!(net[0]["nodes"][1]["seen"], whole["nodes"][1]["networks"][1]);
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let state = made_up::in_trouble();
    for words in [&["status"][..], &["nodes"], &["why", "node-2"], &["incidents", "11"]] {
        let coloured = hactl::page(words, &state, Look { colour: true, width: None }).out;
        assert!(coloured.contains("\x1b["), "{words:?}");
        let plain = hactl::page(words, &state, PLAIN).out;
        assert!(!plain.contains('\x1b'), "{words:?}: a VM's name must not drive the terminal");
    }
}

#[test]
fn help_of_every_command() {
    let mut all = String::new();
    helps(&mut Cli::command().term_width(100), &mut Vec::new(), &mut all);
    golden_text("help.txt", &all);
    let low = all.to_lowercase();
    for word in BARRED {
        assert!(!low.contains(word), "the vocabulary bars `{word}`");
    }
}

fn helps(command: &mut clap::Command, path: &mut Vec<String>, all: &mut String) {
    path.push(command.get_name().to_owned());
    // The lab's own golden files hold the lab's help.
    if command.is_hide_set() || ["help", "lab"].contains(&command.get_name()) {
        path.pop();
        return;
    }
    command.build();
    *all += &format!(
        "==== {}\n{}\n",
        path.join(" "),
        command.clone().term_width(100).render_long_help()
    );
    for sub in command.get_subcommands_mut() {
        helps(sub, path, all);
    }
    path.pop();
}

#[test]
fn guards_and_exit_codes_are_explained_without_any_controller() {
    golden("guards.txt", &words(&["guards"]));
    golden("exit_codes.txt", &words(&["exit-codes"]));
    assert!(words(&["help", "exit-codes"]).out.contains("3  no controller answers"));
    assert!(words(&["help", "guards"]).out.contains("all_suspected"));
}

#[test]
fn every_guard_and_exit_code_is_in_the_book() {
    let book = std::fs::read_to_string(here("../../docs/operate.md")).unwrap();
    for guard in GUARDS {
        assert!(
            book.contains(&format!("| `{}` |", guard.name)),
            "{} is not in operate.md",
            guard.name
        );
    }
    for exit in Exit::ALL {
        assert!(book.contains(&format!("| {} |", exit.code())), "{exit:?} is not in operate.md");
    }
    let low = book.to_lowercase();
    for word in BARRED {
        assert!(!low.contains(word), "the vocabulary bars `{word}`");
    }
}

#[test]
fn what_the_book_shows_is_what_hactl_prints() {
    let file = here("../../docs/operate.md");
    let book = std::fs::read_to_string(&file).unwrap();
    let mut now = String::new();
    let mut shown = 0;
    for (i, part) in book.split("```").enumerate() {
        if i > 0 {
            now += "```";
        }
        match part.strip_prefix("console\n$ hactl ").filter(|_| i % 2 == 1) {
            Some(rest) => {
                let command = rest.lines().next().unwrap();
                now += &format!("console\n$ hactl {command}\n{}", in_the_book(command));
                shown += 1;
            }
            None => now += part,
        }
    }
    assert!(shown >= 5, "only {shown} outputs in the book");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, now).unwrap();
        return;
    }
    assert!(
        now == book,
        "operate.md shows other output than hactl prints (BLESS=1 takes it):\n{now}"
    );
}

fn in_the_book(command: &str) -> String {
    let given: Vec<_> = command.split_whitespace().collect();
    let look = Look { colour: false, width: Some(100) };
    let outcome = match given[0] {
        "matrix" | "exit-codes" | "guards" => words(&given),
        _ => hactl::page(&given, &made_up::in_trouble(), look),
    };
    outcome.out + &outcome.err
}

#[test]
fn gossip_is_reckoned_without_any_controller() {
    golden("gossip_calc.txt", &words(&["gossip", "calc", "--nodes", "30"]));
    let large = ["gossip", "calc", "--nodes", "1000", "--interval", "100", "--fanout", "4"];
    golden("gossip_calc_large.txt", &words(&[&large[..], &["--loss", "20"]].concat()));
    golden("gossip_calc_json.txt", &words(&["gossip", "calc", "--json"]));
    let dead = ["gossip", "calc", "--controllers", "http://127.0.0.1:1"];
    golden("gossip_calc_no_controller.txt", &words(&dead));
    assert_eq!(words(&["gossip", "calc", "--nodes", "1"]).exit, Exit::Usage);
}

#[test]
fn what_the_nodes_send_now_stands_beside_what_is_reckoned() {
    let mut state = made_up::in_trouble();
    let calc = ["gossip", "calc", "--nodes", "6", "--packet", "1200"];
    golden("gossip_calc_measured.txt", &hactl::page(&calc, &state, PLAIN));
    let json = [&calc[..], &["--json"]].concat();
    golden("gossip_calc_measured_json.txt", &hactl::page(&json, &state, PLAIN));
    state.nodes.iter_mut().for_each(|node| node.sent = None);
    let untold = hactl::page(&calc, &state, PLAIN);
    assert!(untold.out.contains("not measured: no node has told"), "{}", untold.out);
    assert_eq!(untold.exit, Exit::Fine);
}

#[test]
fn a_link_that_flaps_is_shown_as_such() {
    let mut state = made_up::in_trouble();
    let flapping = api::Flapping { downs: 5, for_s: 190.0, calm_in_s: 71.0 };
    state.nodes[0].networks[2].flapping = Some(flapping.clone());
    state.nodes[3].networks[2].flapping = Some(flapping);
    golden("nodes_flapping.txt", &hactl::page(&["nodes", "--networks"], &state, PLAIN));
    golden("why_flapping.txt", &hactl::page(&["why", "node-1"], &state, PLAIN));
}

#[test]
fn completion_scripts_are_made_for_three_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = words(&["completion", shell]);
        assert_eq!(script.exit, Exit::Fine);
        assert!(script.out.contains("maintenance"), "{shell}");
    }
}

#[test]
fn each_bad_matrix_is_told_its_line_and_remedy() {
    let folder = here("../../action-matrix/tests/bad");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 15, "only {} bad matrices in {}", files.len(), folder.display());
    for file in files {
        let outcome = words(&["matrix", "check", file.to_str().unwrap()]);
        assert_eq!(outcome.exit, Exit::Failed, "{}", file.display());
        let wanted = std::fs::read_to_string(file.with_extension("expected")).unwrap();
        let shown = outcome.out.replace(&format!("{}/", folder.display()), "");
        assert_eq!(shown.trim_end(), wanted.trim_end(), "{}", file.display());
        let json: serde_json::Value = serde_json::from_str(
            &words(&["matrix", "check", "--json", file.to_str().unwrap()]).out,
        )
        .unwrap();
        let first = &json[0]["problems"][0];
        assert!(first["line"].as_u64() >= Some(1), "{json}");
        assert!(!first["remedies"].as_array().unwrap().is_empty(), "{json}");
    }
}

#[test]
fn a_matrix_is_checked_shown_and_explained_without_any_controller() {
    let file = here("made_up/matrix.toml");
    let file = file.to_str().unwrap();
    let tidy = |mut outcome: Outcome| {
        outcome.out = outcome.out.replace(file, "matrix.toml");
        outcome.err = outcome.err.replace(file, "matrix.toml");
        outcome
    };
    let check = |name, given: &[&str]| golden(name, &tidy(words(given)));
    check("matrix_check.txt", &["matrix", "check", file]);
    let shipped = std::env::temp_dir().join(format!("hactl-shipped-{}.toml", std::process::id()));
    std::fs::write(&shipped, action_matrix::DEFAULT).unwrap();
    let shipped_name = shipped.to_str().unwrap();
    assert_eq!(words(&["matrix", "check", shipped_name]).exit, Exit::Fine);
    let denied = words(&["matrix", "check", "--deny-warnings", shipped_name]);
    assert_eq!(
        (denied.exit, denied.out.contains("warning[")),
        (Exit::Failed, true),
        "{}",
        denied.out
    );
    std::fs::remove_file(&shipped).unwrap();
    check("matrix_show_table.txt", &["matrix", "show", "--table", file]);
    check("matrix_explain.txt", &["matrix", "explain", "m-t", "disk=failed", "--matrix", file]);
    check("matrix_explain_json.txt", &["matrix", "explain", "---", "--json", "--matrix", file]);
    check("matrix_explain_typo.txt", &["matrix", "explain", "storag=down", "--matrix", file]);
    check("matrix_explain_all_down.txt", &["matrix", "explain", "---", "--matrix", file]);
    check("matrix_no_file.txt", &["matrix", "check", "no-such.toml"]);
    check("matrix_no_controller.txt", &["matrix", "show", "--running"]);
    assert_eq!(words(&["matrix", "show"]).out, action_matrix::DEFAULT);
    assert_eq!(words(&["matrix", "show", file]).out, include_str!("made_up/matrix.toml"));
    let words = words(&["matrix", "explain", "management=up,storage=down,tenant=up", "disk=ok"]);
    assert_eq!(words.exit, Exit::Fine, "{words:?}");
}

#[test]
fn keys_are_private_never_overwritten_and_belong_together() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("hactl-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("node.key");
    let name = file.to_str().unwrap();
    let made = words(&["keys", "new", "--out", name]);
    let seed = std::fs::read_to_string(&file).unwrap();
    assert_eq!((made.exit, made.out.trim().len(), seed.trim().len()), (Exit::Fine, 64, 64));
    assert!(!made.out.contains(seed.trim()), "the private key was printed");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = words(&["keys", "new", "--out", name]);
    assert_eq!((again.exit, again.out.as_str()), (Exit::Failed, ""));
    assert!(again.err.contains("never overwritten"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), seed);
    let line = words(&["keys", "cluster", "--number", "3"]).out;
    assert!(line.starts_with("3 ") && line.trim().len() == 66, "{line}");
    std::fs::remove_dir_all(&folder).unwrap();
}
