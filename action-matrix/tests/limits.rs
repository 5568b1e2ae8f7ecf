//! Texts that nobody means well with: bounded, and never a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use action_matrix::{MAX_BYTES, MAX_ROWS, Matrix, Rule};
use proptest::prelude::*;

fn rules(text: &str) -> Vec<Rule> {
    match Matrix::parse("m.toml", text) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            assert!(problems.render(true).len() < 200_000, "a long text for one mistake");
            problems.iter().map(|problem| problem.rule()).collect()
        }
    }
}

fn row(name: usize) -> String {
    format!(
        "[[row]]\nname = \"row {name}\"\nsettle = \"1s\"\nactions = [\"none\"]\nreason = \"x\"\n"
    )
}

#[test]
fn a_text_and_a_list_of_rows_have_a_bound() {
    assert_eq!(rules(&"#".repeat(MAX_BYTES)), [Rule::MissingKey]);
    assert_eq!(rules(&"#".repeat(MAX_BYTES + 1)), [Rule::TooLarge]);
    let many = |count| (0..count).map(row).collect::<String>();
    assert_eq!(rules(&many(1)), []);
    assert_eq!(rules(&many(MAX_ROWS)).len(), MAX_ROWS - 1);
    assert_eq!(rules(&many(MAX_ROWS + 1)), [Rule::TooLarge]);
}

#[test]
fn deep_nesting_and_long_numbers_are_refused() {
    assert_ne!(rules(&format!("row = {}", "[".repeat(30_000))), []);
    assert_ne!(rules(&format!("row = {}", "{a=".repeat(20_000))), []);
    assert_ne!(rules(&row(1).replace("1s", &format!("{}y", "9".repeat(5_000)))), []);
    assert_ne!(rules(&"a.".repeat(30_000)), []);
}

#[test]
fn a_matrix_of_531441_cells_is_proven() {
    // 8 networks, 4 checks, and many rows that almost all cells pass by; under 3 s in a debug build.
    let mut text = String::from(
        "networks = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"]\n\
         checks = [\"i\", \"j\", \"k\", \"l\"]\n",
    );
    for number in 0..60 {
        text += &row(number);
        for (place, name) in ["a", "b", "c", "d", "e", "f", "g", "h"].into_iter().enumerate() {
            let state = if number >> place & 1 == 0 { "up" } else { "down" };
            text += &format!("{name} = \"{state}\"\n");
        }
    }
    text += &row(MAX_ROWS);
    assert_eq!(rules(&text), []);
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    assert_eq!(rules(&format!("\u{feff}{}", row(1))), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        rules(&text);
    }

    #[test]
    fn no_change_to_a_good_text_panics(
        at in 0..1_500_usize,
        length in 0..20_usize,
        put in r#"[\[\]"= a-z\n\r\t#\u{1b}äß🦀]{0,12}"#,
    ) {
        let text = include_str!("good/any_and_long_reasons.toml");
        let start = text.floor_char_boundary(at % text.len());
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        rules(&format!("{}{put}{}", &text[..start], &text[end..]));
    }
}
