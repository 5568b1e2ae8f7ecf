//! What was measured, and the verdicts on it.

use std::fmt;

/// One kind of death, or of survival.
pub(crate) struct Row {
    /// What was done.
    pub(crate) kind: String,
    /// What had kept the node alive, and how old it was when the fault came, in seconds.
    pub(crate) last: String,
    /// From the last lease or vouch to the reset, in seconds; `None`: no reset.
    pub(crate) after: Option<f64>,
    /// Most that this may be; `None`: there must be no reset.
    pub(crate) bound: Option<f64>,
    /// From the fault to the reset, and who made it; or for how long nothing happened.
    pub(crate) notes: String,
    /// What is wrong beside the numbers.
    pub(crate) wrong: Option<String>,
}

impl Row {
    /// Whether it is as it must be.
    pub(crate) fn holds(&self) -> bool {
        let in_time = match (self.after, self.bound) {
            (Some(after), Some(bound)) => after <= bound,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        in_time && self.wrong.is_none()
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Table(pub(crate) Vec<Row>);

impl Table {
    /// The kinds that are not as they must be.
    pub(crate) fn missed(&self) -> Vec<&str> {
        self.0.iter().filter(|row| !row.holds()).map(|row| row.kind.as_str()).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds =
            |time: Option<f64>| time.map_or("none".to_owned(), |time| format!("{time:.1}"));
        writeln!(
            f,
            "{:<44} {:<12} {:>14} {:>10}  {:<7} notes",
            "kind", "last", "reset after, s", "bound, s", "verdict"
        )?;
        for row in &self.0 {
            let verdict = if row.holds() { "ok" } else { "MISSED" };
            writeln!(
                f,
                "{:<44} {:<12} {:>14} {:>10}  {:<7} {}{}",
                row.kind,
                row.last,
                seconds(row.after),
                seconds(row.bound),
                verdict,
                row.notes,
                row.wrong.as_ref().map(|wrong| format!("; {wrong}")).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reset_a_missing_one_and_one_that_must_not_be_are_missed() {
        let row = |after, bound| Row {
            kind: format!("{after:?} {bound:?}"),
            last: String::new(),
            after,
            bound,
            notes: String::new(),
            wrong: None,
        };
        assert!(row(Some(1.0), Some(2.0)).holds() && row(None, None).holds());
        let wrong = Row { wrong: Some("x".to_owned()), ..row(None, None) };
        let rows =
            vec![row(Some(2.1), Some(2.0)), row(None, Some(2.0)), row(Some(1.0), None), wrong];
        assert_eq!(Table(rows).missed().len(), 4);
    }
}
