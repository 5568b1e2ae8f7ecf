//! All cells of a matrix by number, and the row that each falls to.

use crate::cell::{Cell, CheckState, Reach};
use crate::read::{Draft, DraftRow};
use crate::words;

/// The cells in order: a number in base 3, the first network its first digit, the last check its
/// last; digits as [`Reach::digit`] and [`CheckState::digit`]. At most 531,441 of them.
pub(super) struct Grid<'a> {
    pub(super) draft: &'a Draft,
    /// For each cell the index of the first row that takes it.
    taken: Vec<Option<u16>>,
    /// For each cell its [`Cell::bits`].
    bits: Vec<u64>,
}

impl<'a> Grid<'a> {
    pub(super) fn new(draft: &'a Draft) -> Self {
        let places = draft.networks.len() + draft.checks.len();
        let mut digits = vec![0_u8; places];
        let cells = 3_usize.pow(u32::try_from(places).unwrap_or(u32::MAX));
        let mut taken = Vec::with_capacity(cells);
        let mut all_bits = Vec::with_capacity(cells);
        for _ in 0..cells {
            let bits = bits(&digits);
            all_bits.push(bits);
            let row = draft.rows.iter().position(|draft| draft.row.takes(bits));
            taken.push(row.and_then(|row| u16::try_from(row).ok()));
            // The next number: the digits that are full start again, the one before them grows.
            for digit in digits.iter_mut().rev() {
                *digit = (*digit + 1) % 3;
                if *digit != 0 {
                    break;
                }
            }
        }
        Self { draft, taken, bits: all_bits }
    }

    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    pub(super) fn networks(&self) -> usize {
        self.draft.networks.len()
    }

    pub(super) fn checks(&self) -> usize {
        self.draft.checks.len()
    }

    /// The row that takes a cell, and its index.
    pub(super) fn row(&self, cell: usize) -> Option<(usize, &'a DraftRow)> {
        let index = usize::from((*self.taken.get(cell)?)?);
        Some((index, self.draft.rows.get(index)?))
    }

    /// What stands in a cell at a place: networks first, then checks.
    pub(super) fn digit(&self, cell: usize, place: usize) -> u8 {
        u8::try_from(cell / self.weight(place) % 3).unwrap_or(0)
    }

    /// The cell with one place changed.
    pub(super) fn with(&self, cell: usize, place: usize, digit: u8) -> usize {
        let weight = self.weight(place);
        cell - usize::from(self.digit(cell, place)) * weight + usize::from(digit) * weight
    }

    /// Whether a row would take a cell if it came first.
    pub(super) fn would_take(&self, row: usize, cell: usize) -> bool {
        self.draft.rows.get(row).is_some_and(|draft| draft.row.takes(self.bits[cell]))
    }

    /// How much speaks against a node in this cell.
    pub(super) fn signs(&self, cell: usize) -> Signs {
        // The bit of a digit in each group of three, as `Cell::bits` sets them.
        let each = |digit: u8| 0o1111_1111_1111_u64 << digit;
        let of_networks = (1_u64 << (3 * self.networks())) - 1;
        let bits = self.bits[cell];
        Signs {
            down: (bits & of_networks & each(Reach::Down.digit())).count_ones(),
            unknown: (bits & of_networks & each(Reach::Unknown.digit())).count_ones(),
            failed: (bits & !of_networks & each(CheckState::Failed.digit())).count_ones(),
        }
    }

    /// `m-t`, and after it every check that is not ok.
    pub(super) fn compact(&self, cell: usize) -> String {
        words::compact(&self.draft.networks, &self.draft.checks, &self.cell(cell))
    }

    /// `management up, storage down, tenant up, disk ok`.
    pub(super) fn long(&self, cell: usize) -> String {
        self.pairs(cell).map(|(name, word)| format!("{name} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// A row for exactly this cell.
    pub(super) fn row_for(&self, cell: usize) -> String {
        let mut out = format!("[[row]]\nname = \"{}\"\n", self.compact(cell));
        for (name, word) in self.pairs(cell) {
            out += &format!("{name} = \"{word}\"\n");
        }
        out + "settle = \"10s\"\nactions = [\"notify\"]\nreason = \"to be decided\""
    }

    fn pairs(&self, cell: usize) -> impl Iterator<Item = (&'a str, &'static str)> {
        let cell = self.cell(cell);
        let networks: Vec<_> = cell.networks.iter().map(|reach| reach.word()).collect();
        let checks: Vec<_> = cell.checks.iter().map(|state| state.word()).collect();
        let names = self.draft.networks.iter().chain(&self.draft.checks).map(String::as_str);
        names.zip(networks.into_iter().chain(checks))
    }

    fn cell(&self, cell: usize) -> Cell {
        let reach = |place| Reach::ALL[usize::from(self.digit(cell, place))];
        let state = |place| CheckState::ALL[usize::from(self.digit(cell, place))];
        let places = self.networks() + self.checks();
        Cell {
            networks: (0..self.networks()).map(reach).collect(),
            checks: (self.networks()..places).map(state).collect(),
        }
    }

    fn weight(&self, place: usize) -> usize {
        let places = self.networks() + self.checks();
        (place + 1..places).fold(1, |weight, _| weight * 3)
    }
}

/// What speaks against a node: networks down, networks unknown, checks failed.
pub(super) struct Signs {
    pub(super) down: u32,
    pub(super) unknown: u32,
    pub(super) failed: u32,
}

fn bits(digits: &[u8]) -> u64 {
    digits.iter().enumerate().fold(0, |bits, (i, digit)| bits | 1 << (3 * i) << digit)
}
