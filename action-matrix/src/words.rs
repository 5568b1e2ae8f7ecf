//! Cells as people write them: `m-t`, `management=up,storage=down`, `m-t disk=failed`.

use std::collections::BTreeSet;

use crate::cell::{Cell, CheckState, Reach};
use crate::matrix::Matrix;
use crate::nearest::nearest;

/// Why words do not name a cell. Nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// Neither the compact form nor `name=state`; no cell.
    #[error("`{word}` is neither name=state nor {letters} with `-` for down and `?` for unknown")]
    Word {
        /// What was written.
        word: String,
        /// All networks up, in compact form.
        letters: String,
    },
    /// No network or check of this name; no cell.
    #[error("no network or check is called `{name}`; there are {known}{suggestion}")]
    Name {
        /// What was written.
        name: String,
        /// The names that exist.
        known: String,
        /// The nearest one, as a question, or nothing.
        suggestion: String,
    },
    /// The network or check has no such state; no cell.
    #[error("`{name}` cannot be `{state}`: write one of {known}")]
    State {
        /// The network or check.
        name: String,
        /// What was written.
        state: String,
        /// The states that exist.
        known: String,
    },
    /// A network or check got two states; no cell.
    #[error("`{name}` is given twice")]
    Twice {
        /// The network or check.
        name: String,
    },
}

impl Matrix {
    /// Reads a cell: `management=up,storage=down` or compact `m-t` (a letter per network in order,
    /// `-` down, `?` unknown), then `check=state`; separated by commas or blanks. A network that
    /// is not named is up, a check that is not named is ok.
    ///
    /// # Errors
    /// A [`CellError`] for the first word that is not understood.
    pub fn parse_cell(&self, words: &str) -> Result<Cell, CellError> {
        let mut cell = self.healthy();
        let mut given = BTreeSet::new();
        let separated = words.split(|c: char| c == ',' || c.is_whitespace());
        for word in separated.filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                Some((name, state)) => self.set(&mut cell, &mut given, name, state)?,
                None => self.set_compact(&mut cell, &mut given, word)?,
            }
        }
        Ok(cell)
    }

    /// `m-t`, and after it every check that is not ok: `m-t disk=failed`. [`Matrix::parse_cell`]
    /// reads it back. A cell of another shape is shown as [`Matrix::decide`] takes it.
    #[must_use]
    pub fn compact(&self, cell: &Cell) -> String {
        let cell = cell.fitted(self.networks().len(), self.checks().len());
        compact(self.networks(), self.checks(), &cell)
    }

    fn healthy(&self) -> Cell {
        Cell {
            networks: vec![Reach::Up; self.networks().len()],
            checks: vec![CheckState::Ok; self.checks().len()],
        }
    }

    fn set<'a>(
        &'a self,
        cell: &mut Cell,
        given: &mut BTreeSet<&'a str>,
        name: &str,
        state: &str,
    ) -> Result<(), CellError> {
        let wrong_state = |known: &[&str]| CellError::State {
            name: shown(name),
            state: shown(state),
            known: known.join(", "),
        };
        if let Some(i) = self.networks().iter().position(|known| known == name) {
            cell.networks[i] =
                Reach::from_word(state).ok_or_else(|| wrong_state(&Reach::ALL.map(Reach::word)))?;
            return once(given, &self.networks()[i]);
        }
        if let Some(i) = self.checks().iter().position(|known| known == name) {
            cell.checks[i] = CheckState::from_word(state)
                .ok_or_else(|| wrong_state(&CheckState::ALL.map(CheckState::word)))?;
            return once(given, &self.checks()[i]);
        }
        let known = || self.networks().iter().chain(self.checks()).map(String::as_str);
        let suggestion = nearest(name, known()).map(|near| format!(". Did you mean `{near}`?"));
        Err(CellError::Name {
            name: shown(name),
            known: known().collect::<Vec<_>>().join(", "),
            suggestion: suggestion.unwrap_or_default(),
        })
    }

    fn set_compact<'a>(
        &'a self,
        cell: &mut Cell,
        given: &mut BTreeSet<&'a str>,
        word: &str,
    ) -> Result<(), CellError> {
        let refused =
            || CellError::Word { word: shown(word), letters: self.compact(&self.healthy()) };
        if word.chars().count() != self.networks().len() {
            return Err(refused());
        }
        for (i, (name, given_letter)) in self.networks().iter().zip(word.chars()).enumerate() {
            cell.networks[i] = match given_letter {
                '-' => Reach::Down,
                '?' => Reach::Unknown,
                own if own == letter(name) => Reach::Up,
                _ => return Err(refused()),
            };
            once(given, name)?;
        }
        Ok(())
    }
}

fn once<'a>(given: &mut BTreeSet<&'a str>, name: &'a str) -> Result<(), CellError> {
    if given.insert(name) { Ok(()) } else { Err(CellError::Twice { name: name.to_owned() }) }
}

/// The compact form of a cell that has a state for every network and check.
pub(crate) fn compact(networks: &[String], checks: &[String], cell: &Cell) -> String {
    let letters = networks.iter().zip(&cell.networks).map(|(name, reach)| match reach {
        Reach::Up => letter(name),
        Reach::Down => '-',
        Reach::Unknown => '?',
    });
    let mut out: String = letters.collect();
    for (name, state) in checks.iter().zip(&cell.checks) {
        if *state != CheckState::Ok {
            out += &format!(" {name}={state}");
        }
    }
    out
}

/// The letter of a network in the compact form.
fn letter(name: &str) -> char {
    // A loaded name begins with an ASCII letter.
    name.chars().next().unwrap_or('?')
}

/// What was written, safe for a terminal and not longer than a line.
fn shown(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_debug).collect()
}
