//! The shipped default, cell by cell.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "files and clocks are banned from cores, not tests")]

use std::fmt::Write as _;

use action_matrix::{Action, Cell, CheckState, DEFAULT, Loaded, Matrix, Reach, Rule};
use expect_test::expect;

fn default() -> Loaded {
    match Matrix::parse("default.toml", DEFAULT) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

fn cells() -> impl Iterator<Item = Cell> {
    let all = Reach::ALL;
    all.into_iter().flat_map(move |m| {
        all.into_iter().flat_map(move |s| {
            all.into_iter().flat_map(move |t| {
                let networks = vec![m, s, t];
                CheckState::ALL
                    .into_iter()
                    .map(move |disk| Cell { networks: networks.clone(), checks: vec![disk] })
            })
        })
    })
}

#[test]
fn the_default_answers_all_81_cells_and_no_unknown_network_fences() {
    let matrix = default().matrix;
    assert_eq!(cells().count(), 81);
    for cell in cells() {
        let decision = matrix.decide(&cell);
        assert!(!decision.actions().is_empty());
        if cell.networks.contains(&Reach::Unknown) {
            assert_eq!(decision.actions(), [Action::Notify], "{}", matrix.compact(&cell));
        }
    }
}

#[test]
fn the_default_decides_what_its_page_says() {
    let matrix = default().matrix;
    let mut out = String::new();
    for cell in cells().filter(|cell| !cell.networks.contains(&Reach::Unknown)) {
        let row = matrix.decide(&cell).row;
        let actions: Vec<_> = row.actions().iter().map(ToString::to_string).collect();
        let (compact, settle) = (matrix.compact(&cell), row.settle());
        writeln!(out, "{compact:16} {settle:>4?} {:17} {}", actions.join(", "), row.name())
            .unwrap();
    }
    expect![[r#"
        mst               0ns none              all well
        mst disk=failed   30s notify            disk failed
        mst disk=unknown  0ns none              all well
        ms-                5s disable, migrate  tenant down
        ms- disk=failed    5s disable, migrate  tenant down
        ms- disk=unknown   5s disable, migrate  tenant down
        m-t                5s fence, evacuate   storage down
        m-t disk=failed    1s fence, evacuate   storage down, disk failed
        m-t disk=unknown   5s fence, evacuate   storage down
        m--                1s fence, evacuate   storage and tenant down
        m-- disk=failed    1s fence, evacuate   storage and tenant down
        m-- disk=unknown   1s fence, evacuate   storage and tenant down
        -st               10s notify            management down
        -st disk=failed   10s notify            management down
        -st disk=unknown  10s notify            management down
        -s-               30s fence, evacuate   management and tenant down
        -s- disk=failed   30s fence, evacuate   management and tenant down
        -s- disk=unknown  30s fence, evacuate   management and tenant down
        --t                1s fence, evacuate   management and storage down
        --t disk=failed    1s fence, evacuate   management and storage down
        --t disk=unknown   1s fence, evacuate   management and storage down
        ---                1s fence, evacuate   all down
        --- disk=failed    1s fence, evacuate   all down
        --- disk=unknown   1s fence, evacuate   all down
    "#]]
    .assert_eq(&out);
}

#[test]
fn the_default_has_one_warning_and_its_page_explains_it() {
    let warnings = default().warnings;
    let rules: Vec<_> = warnings.iter().map(|warning| warning.rule()).collect();
    assert_eq!(rules, [Rule::SingleSign]);
    expect![[r#"
        warning[single-sign]: "storage down" fences on one sign: one network down
          --> default.toml:73:11
           |
        68 | name = "storage down"
           |        --------------
        ...
        73 | actions = ["fence", "evacuate"]
           |           ^^^^^^^^^^^^^^^^^^^^^ m-t: a switch or a cable alone would take its VMs down
           |
           = help: add a second sign to it, disk = "failed", and let a row after it notify for the rest
           = help: or keep it, with a longer settle time and a reason that says why"#]].assert_eq(&warnings[0].render(false));
}

#[test]
fn its_page_shows_the_matrix_that_is_shipped() {
    let matrix = default().matrix;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/matrix.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&matrix.explain(&matrix.parse_cell("m-t").unwrap())));
    let mut rows = 0;
    for cell in cells() {
        let row = matrix.decide(&cell).row;
        let start = format!("| `{}` | ", matrix.compact(&cell));
        let Some(line) = page.lines().find(|line| line.starts_with(&start)) else { continue };
        let actions: Vec<_> = row.actions().iter().map(ToString::to_string).collect();
        let said = format!("{start}{} | {}s | ", actions.join(", "), row.settle().as_secs());
        assert!(line.starts_with(&said), "the page says {line}, the matrix {said}");
        rows += 1;
    }
    assert_eq!(rows, matrix.rows().len() - 1, "a line for each row but the last");
}

#[test]
fn the_two_changes_that_its_comments_propose_load_as_they_say() {
    let rules = |row: &str| {
        let (before, after) = DEFAULT.split_once(&format!("name = \"{row}\"")).unwrap();
        let after = after.replacen(r#"["fence", "evacuate"]"#, r#"["notify"]"#, 1);
        let text = format!("{before}name = \"{row}\"{after}");
        let warnings = Matrix::parse("changed.toml", &text).unwrap().warnings;
        warnings.iter().map(|warning| warning.rule()).collect::<Vec<_>>()
    };
    assert_eq!(rules("storage down"), []);
    assert_eq!(rules("management and tenant down"), [Rule::SingleSign, Rule::MilderWhenWorse]);
}

#[test]
fn an_explanation_names_each_row_that_was_tried_and_what_stood_against_it() {
    let matrix = default().matrix;
    expect![[r#"
        m-t: management up, storage down, tenant up, disk ok

           1  disk failed                storage is down, not up; disk is ok, not failed
           2  all well                   storage is down, not up
           3  management down            management is up, not down; storage is down, not up
           4  storage down, disk failed  disk is ok, not failed
           5  storage down               matches

        actions: fence, evacuate
        settle:  5s
        reason:  its VMs cannot write; other nodes reach the storage, so they can run there
    "#]]
    .assert_eq(&matrix.explain(&matrix.parse_cell("m-t").unwrap()));
    expect![[r#"
        ?-t disk=failed: management unknown, storage down, tenant up, disk failed

           1  disk failed                  management is unknown, not up; storage is down, not up
           2  all well                     management is unknown, not up; storage is down, not up
           3  management down              management is unknown, not down; storage is down, not up
           4  storage down, disk failed    management is unknown, not up
           5  storage down                 management is unknown, not up
           6  tenant down                  management is unknown, not up; storage is down, not up; tenant is up, not down
           7  management and tenant down   management is unknown, not down; storage is down, not up; tenant is up, not down
           8  management and storage down  management is unknown, not down
           9  storage and tenant down      management is unknown, not up; tenant is up, not down
          10  all down                     management is unknown, not down; tenant is up, not down
          11  something unknown            matches

        actions: notify
        settle:  30s
        reason:  nobody can say how the node is, and a guess may stop VMs that work
    "#]].assert_eq(&matrix.explain(&matrix.parse_cell("?-t disk=failed").unwrap()));
}
