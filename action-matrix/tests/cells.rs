//! Cells as people write them, and cells that do not fit.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use action_matrix::{Action, Cell, CheckState, DEFAULT, Matrix, Reach};
use expect_test::{Expect, expect};

fn matrix() -> Matrix {
    Matrix::parse("default.toml", DEFAULT).unwrap().matrix
}

#[track_caller]
fn check(words: &str, expected: Expect) {
    let matrix = matrix();
    let shown = match matrix.parse_cell(words) {
        Ok(cell) => {
            let compact = matrix.compact(&cell);
            assert_eq!(matrix.parse_cell(&compact).unwrap(), cell, "{compact} is another cell");
            compact
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn what_is_not_mentioned_is_well() {
    check("", expect!["mst"]);
    check("storage=down", expect!["m-t"]);
    check("management=up,storage=down,tenant=up", expect!["m-t"]);
    check("tenant=unknown, disk=failed", expect!["ms? disk=failed"]);
    check("m-t", expect!["m-t"]);
    check("?-- disk=unknown", expect!["?-- disk=unknown"]);
}

#[test]
fn a_word_that_is_not_understood_says_what_would_be() {
    check(
        "m-",
        expect!["`m-` is neither name=state nor mst with `-` for down and `?` for unknown"],
    );
    check(
        "m-x",
        expect!["`m-x` is neither name=state nor mst with `-` for down and `?` for unknown"],
    );
    check(
        "storgae=down",
        expect![
            "no network or check is called `storgae`; there are management, storage, tenant, disk. Did you mean `storage`?"
        ],
    );
    check(
        "power=down",
        expect![
            "no network or check is called `power`; there are management, storage, tenant, disk"
        ],
    );
    check(
        "storage=failed",
        expect!["`storage` cannot be `failed`: write one of up, down, unknown"],
    );
    check("disk=down", expect!["`disk` cannot be `down`: write one of ok, failed, unknown"]);
    check("m-t storage=up", expect!["`storage` is given twice"]);
    check("disk=ok,disk=failed", expect!["`disk` is given twice"]);
    check(
        "\u{1b}[2J=\u{1b}",
        expect![[
            r#"no network or check is called `\u{1b}[2J`; there are management, storage, tenant, disk"#
        ]],
    );
}

#[test]
fn a_cell_of_another_shape_is_unknown_and_unknown_does_not_fence() {
    let matrix = matrix();
    for networks in 0..10 {
        let cell = Cell { networks: vec![Reach::Down; networks], checks: Vec::new() };
        let fences = matrix.decide(&cell).row.fences();
        assert_eq!(fences, networks == 3, "{networks} networks");
        assert!(networks == 3 || matrix.compact(&cell).starts_with("???"));
        assert!(!matrix.explain(&cell).is_empty());
    }
    // Without its check a node with storage down waits for the longer of the two settle times.
    let cell = Cell { networks: vec![Reach::Up, Reach::Down, Reach::Up], checks: Vec::new() };
    assert_eq!(matrix.decide(&cell).row.name(), "storage down");
    let checks = vec![CheckState::Failed; 2];
    let cell = Cell { networks: vec![Reach::Up; 3], checks };
    assert_eq!(matrix.decide(&cell).actions(), [Action::None]);
}
