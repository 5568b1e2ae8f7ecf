//! A second implementation, slow and plain, judges the first over random matrices: whether a text
//! loads, what its warnings are, and what every cell gets.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeSet;

use action_matrix::{Cell, CheckState, Matrix, Reach, Rule};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Plain {
    networks: usize,
    checks: usize,
    rows: Vec<PlainRow>,
}

#[derive(Clone, Debug)]
struct PlainRow {
    networks: Vec<&'static str>,
    checks: Vec<&'static str>,
    actions: &'static [&'static str],
}

const ACTIONS: [&[&str]; 6] = [
    &["none"],
    &["notify"],
    &["notify", "disable"],
    &["migrate"],
    &["fence"],
    &["fence", "evacuate"],
];

impl PlainRow {
    fn fences(&self) -> bool {
        self.actions.contains(&"fence")
    }

    fn harshness(&self) -> usize {
        ACTIONS.iter().position(|actions| *actions == self.actions).unwrap()
    }

    fn matches(&self, cell: &[&str], networks: usize) -> bool {
        let wanted = self.networks.iter().chain(&self.checks);
        wanted.zip(cell).enumerate().all(|(i, (wanted, is))| match *wanted {
            "any" => !(self.fences() && i < networks && *is == "unknown"),
            wanted => wanted == *is,
        })
    }
}

impl Plain {
    fn text(&self) -> String {
        let list = |kind: &str, count: usize| -> String {
            let names: Vec<_> = (0..count).map(|i| format!("\"{kind}{i}\"")).collect();
            names.join(", ")
        };
        let (networks, checks) = (list("n", self.networks), list("c", self.checks));
        let mut out = format!("networks = [{networks}]\nchecks = [{checks}]\n");
        for (number, row) in self.rows.iter().enumerate() {
            out += &format!("[[row]]\nname = \"{number}\"\nsettle = \"1s\"\nreason = \"-\"\n");
            out += &format!("actions = {:?}\n", row.actions);
            for (i, state) in row.networks.iter().enumerate() {
                out += &format!("n{i} = \"{state}\"\n");
            }
            for (i, state) in row.checks.iter().enumerate() {
                out += &format!("c{i} = \"{state}\"\n");
            }
        }
        out
    }

    fn cells(&self) -> Vec<Vec<&'static str>> {
        let mut cells = vec![Vec::new()];
        for place in 0..self.networks + self.checks {
            let states = if place < self.networks {
                ["up", "down", "unknown"]
            } else {
                ["ok", "failed", "unknown"]
            };
            cells = cells
                .into_iter()
                .flat_map(|cell| {
                    states.map(|state| {
                        let mut longer = cell.clone();
                        longer.push(state);
                        longer
                    })
                })
                .collect();
        }
        cells
    }

    fn decide(&self, cell: &[&str]) -> Option<usize> {
        self.rows.iter().position(|row| row.matches(cell, self.networks))
    }

    /// Every rule that is broken, by a reading of the documentation and not of the code.
    fn broken(&self) -> BTreeSet<Rule> {
        let asks_unknown =
            |row: &PlainRow| row.networks.contains(&"unknown") || row.checks.contains(&"unknown");
        if self.rows.iter().any(|row| row.fences() && asks_unknown(row)) {
            // The other proofs do not begin.
            return BTreeSet::from([Rule::UnknownFences]);
        }
        let mut broken = BTreeSet::new();
        let mut reached = BTreeSet::new();
        for cell in self.cells() {
            match self.decide(&cell) {
                Some(row) => {
                    reached.insert(row);
                    broken.extend(self.broken_at(&cell, &self.rows[row]));
                }
                None => {
                    broken.insert(Rule::MissingCell);
                }
            }
        }
        if reached.len() < self.rows.len() {
            broken.insert(Rule::UnreachableRow);
        }
        broken
    }

    fn broken_at(&self, cell: &[&'static str], row: &PlainRow) -> Vec<Rule> {
        let mut broken = Vec::new();
        let count = |word: &str| cell.iter().filter(|state| **state == word).count();
        let unknown_network = cell[..self.networks].contains(&"unknown");
        assert!(!(unknown_network && row.fences()), "S20 in the naive one");
        let signs = count("down") + count("failed");
        if signs == 0 && !unknown_network && row.harshness() > 1 {
            broken.push(Rule::ActsOnHealthy);
        }
        if signs == 1 && row.fences() {
            broken.push(Rule::SingleSign);
        }
        for place in 0..cell.len() {
            let with = |state| {
                let mut other = cell.to_vec();
                other[place] = state;
                self.decide(&other).map(|row| &self.rows[row])
            };
            if cell[place] == "down" && with("up").is_some_and(|b| b.harshness() > row.harshness())
            {
                broken.push(Rule::MilderWhenWorse);
            }
            if place >= self.networks && cell[place] == "unknown" && row.fences() {
                let spared = |state| with(state).is_some_and(|other| !other.fences());
                if spared("ok") || spared("failed") {
                    broken.push(Rule::UnknownFences);
                }
            }
        }
        broken
    }
}

fn cell_of(plain: &Plain, words: &[&str]) -> Cell {
    let (networks, checks) = words.split_at(plain.networks);
    let reach = |word: &&str| match *word {
        "up" => Reach::Up,
        "down" => Reach::Down,
        _ => Reach::Unknown,
    };
    let state = |word: &&str| match *word {
        "ok" => CheckState::Ok,
        "failed" => CheckState::Failed,
        _ => CheckState::Unknown,
    };
    Cell {
        networks: networks.iter().map(reach).collect(),
        checks: checks.iter().map(state).collect(),
    }
}

/// Random rows between a first row for a healthy node and a last one for all the rest; now and
/// then without one of the two.
fn plain() -> impl Strategy<Value = Plain> {
    (1..=3_usize, 0..=2_usize).prop_flat_map(|(networks, checks)| {
        let network = prop_oneof![
            3 => Just("down"), 2 => Just("up"), 1 => Just("unknown"), 3 => Just("any")
        ];
        let check =
            prop_oneof![2 => Just("failed"), 1 => Just("ok"), 1 => Just("unknown"), 4 => Just("any")];
        let row = (
            prop::collection::vec(network, networks),
            prop::collection::vec(check, checks),
            prop::sample::select(&ACTIONS[..]),
        )
            .prop_map(|(networks, checks, actions)| PlainRow { networks, checks, actions });
        let rows = prop::collection::vec(row, 0..5);
        (rows, prop::bool::weighted(0.9), prop::bool::weighted(0.9)).prop_map(
            move |(mut rows, healthy, rest)| {
                if healthy {
                    rows.insert(0, PlainRow {
                        networks: vec!["up"; networks],
                        checks: vec!["any"; checks],
                        actions: ACTIONS[0],
                    });
                }
                if rest || rows.is_empty() {
                    rows.push(PlainRow {
                        networks: vec!["any"; networks],
                        checks: vec!["any"; checks],
                        actions: ACTIONS[1],
                    });
                }
                Plain { networks, checks, rows }
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn both_refuse_the_same_for_the_same_and_decide_the_same(plain in plain()) {
        let is_warning = |rule: &Rule| matches!(rule, Rule::SingleSign | Rule::MilderWhenWorse);
        let broken = plain.broken();
        match Matrix::parse("random.toml", &plain.text()) {
            Err(problems) => {
                let found: BTreeSet<_> = problems.iter().map(|problem| problem.rule()).collect();
                prop_assert_eq!(found, broken, "{}", problems);
            }
            Ok(loaded) => {
                let found: BTreeSet<_> = loaded.warnings.iter().map(|w| w.rule()).collect();
                prop_assert!(broken.iter().all(is_warning), "loaded with {:?}", broken);
                prop_assert_eq!(found, broken);
                for words in plain.cells() {
                    let cell = cell_of(&plain, &words);
                    let index = loaded.matrix.decide(&cell).index;
                    prop_assert_eq!(Some(index), plain.decide(&words), "{:?}", words);
                    let compact = loaded.matrix.compact(&cell);
                    prop_assert_eq!(loaded.matrix.parse_cell(&compact), Ok(cell));
                }
            }
        }
    }
}
