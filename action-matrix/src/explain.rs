//! A decision told to a person.

use std::fmt::Write as _;

use crate::action::join;
use crate::cell::Cell;
use crate::matrix::Matrix;
use crate::row::Row;

impl Matrix {
    /// The cell in both forms, each row in the order it is tried with what stood against it, then
    /// the row that decides with its actions, settle time and reason. Ends with a newline.
    #[must_use]
    pub fn explain(&self, cell: &Cell) -> String {
        let cell = cell.fitted(self.networks().len(), self.checks().len());
        let decision = self.decide(&cell);
        let mut out = format!("{}: {}\n\n", self.compact(&cell), self.long(&cell));
        let tried = &self.rows()[..=decision.index];
        let width = tried.iter().map(|row| row.name().chars().count()).max().unwrap_or(0);
        for (i, row) in tried.iter().enumerate() {
            let against = self.against(row, &cell);
            let verdict = if i == decision.index { "matches".to_owned() } else { against };
            let _ = writeln!(out, "{:>4}  {:width$}  {verdict}", i + 1, row.name());
        }
        let row = decision.row;
        let settle = humantime::format_duration(row.settle());
        let _ = writeln!(out, "\nactions: {}", join(row.actions()));
        let _ = writeln!(out, "settle:  {settle}");
        let _ = writeln!(out, "reason:  {}", row.reason());
        out
    }

    /// `management up, storage down, tenant up, disk ok`.
    fn long(&self, cell: &Cell) -> String {
        let networks = self
            .networks()
            .iter()
            .zip(&cell.networks)
            .map(|(name, reach)| format!("{name} {reach}"));
        let checks =
            self.checks().iter().zip(&cell.checks).map(|(name, state)| format!("{name} {state}"));
        networks.chain(checks).collect::<Vec<_>>().join(", ")
    }

    /// Everything in the cell that the row does not take.
    fn against(&self, row: &Row, cell: &Cell) -> String {
        let mut against = Vec::new();
        let networks = self.networks().iter().zip(row.networks()).zip(&cell.networks);
        for ((name, wanted), is) in networks {
            match wanted {
                Some(wanted) if wanted != is => {
                    against.push(format!("{name} is {is}, not {wanted}"))
                }
                None if row.fences() && *is == crate::Reach::Unknown => {
                    against.push(format!("{name} is unknown, and the row fences"));
                }
                Some(_) | None => {}
            }
        }
        let checks = self.checks().iter().zip(row.checks()).zip(&cell.checks);
        for ((name, wanted), is) in checks {
            if let Some(wanted) = wanted.filter(|wanted| wanted != is) {
                against.push(format!("{name} is {is}, not {wanted}"));
            }
        }
        against.join("; ")
    }
}
