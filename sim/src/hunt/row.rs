//! A row of the table that docs/safety.md keeps.

use std::fmt;

use mutants::Mutant;

use super::kill::Found;

/// How a hunt ended.
#[derive(Debug)]
pub(super) enum End {
    /// Killed in this scenario.
    Scenario(String),
    /// Killed by this seed of its swarm.
    Seed(u64),
    /// Killed in its trial.
    Trial,
    /// There is nothing to break, and why.
    Absent(&'static str),
    /// It is in the code and can do no harm, and why.
    Harmless(&'static str),
    /// The hunt finds something without the break too.
    FailsAnyway(String),
    /// Nothing that was tried made its oracle speak.
    Alive,
}

/// One mutant, and what came of its hunt.
#[derive(Debug)]
pub struct Row {
    pub(super) mutant: Mutant,
    pub(super) end: End,
    pub(super) found: Found,
    pub(super) seconds: f64,
}

impl Row {
    /// The table's head.
    pub const HEAD: &str = "| | break | oracle | killed in | others that spoke | two writers | time |\n\
                            | --- | --- | --- | --- | --- | --- | --- |";

    pub(super) fn is_alive(&self) -> bool {
        matches!(self.end, End::Alive | End::FailsAnyway(_))
    }

    /// What was seen, for one that is alive.
    pub(super) fn story(&self) -> String {
        let why = if let End::FailsAnyway(why) = &self.end { why.as_str() } else { "is alive" };
        format!("{:?} {why}\n  {}", self.mutant, self.found.words.join("\n  "))
    }
}

/// The last line.
pub(super) fn sum(rows: &[Row]) -> String {
    let absent = rows.iter().filter(|row| matches!(row.end, End::Absent(_))).count();
    let alive = rows.iter().filter(|row| row.is_alive()).count();
    let harmless = rows.iter().filter(|row| matches!(row.end, End::Harmless(_))).count();
    let killed = rows.len() - absent - alive - harmless;
    format!(
        "{killed} killed, {alive} alive, {harmless} harmless, {absent} without anything to break"
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mutant, end, found, seconds } = self;
        let killed = match end {
            End::Scenario(name) => format!("`{name}`"),
            End::Seed(seed) => format!("seed {seed}"),
            End::Trial => "a trial".to_owned(),
            End::Absent(why) => format!("nothing to break: {why}"),
            End::Harmless(why) => format!("harmless: {why}"),
            End::FailsAnyway(_) => "FAILS ANYWAY".to_owned(),
            End::Alive => "ALIVE".to_owned(),
        };
        let others = found.oracles.iter().filter(|name| **name != mutant.oracle());
        let others: Vec<String> = others.map(|name| format!("`{name}`")).collect();
        let writers = if found.oracles.contains(&"single_writer") { "yes" } else { "no" };
        let writers = if matches!(end, End::Absent(_) | End::Harmless(_)) { "" } else { writers };
        write!(
            f,
            "| {mutant:?} | {} | `{}` | {killed} | {} | {writers} | {seconds:.1} s |",
            mutant.breaks(),
            mutant.oracle(),
            others.join(" ")
        )
    }
}
