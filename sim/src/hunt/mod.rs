//! Hunts: each deliberate break of the crate `mutants` must be found by the oracle that is there for it.
//!
//! A hunt is a written scenario (`tests/scenarios/mutants`), a [`Swarm`](crate::explore::Swarm) with a budget of seeds
//! (`swarms`), or a trial (`trials`) where the rule lies outside of the simulator. It is run with the break, to its end
//! whatever is broken on the way, and without it, where nothing may be broken: a hunt that fails anyway proves nothing.

mod absent;
mod canary;
mod kill;
mod row;
mod stories;
mod swarms;
mod trials;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use mutants::Mutant;

use crate::scenario::Scenario;

pub use row::Row;

/// Hunts the mutants that are named, separated by commas; all without a name. Prints a table.
///
/// # Errors
/// One is alive, its hunt finds something without the break too, or a name is none.
#[allow(clippy::print_stdout, reason = "what the command is for")]
pub fn command(names: &str) -> anyhow::Result<()> {
    let wanted = chosen(names)?;
    let rows = all(&wanted);
    println!("{}", Row::HEAD);
    for row in &rows {
        println!("{row}");
    }
    println!("\n{}", row::sum(&rows));
    let alive: Vec<_> = rows.iter().filter(|row| row.is_alive()).collect();
    for row in &alive {
        println!("{}", row.story());
    }
    anyhow::ensure!(alive.is_empty(), "{} mutants are alive", alive.len());
    Ok(())
}

/// Plays scenarios with one break, and prints their stories with what every oracle said.
///
/// # Errors
/// No such mutant, or a file that is no scenario.
#[allow(clippy::print_stdout, reason = "what the command is for")]
pub fn tell(name: &str, files: &[PathBuf]) -> anyhow::Result<()> {
    let mutant = chosen(name)?.first().copied().context("which mutant?")?;
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let scenario = Scenario::parse(&text).with_context(|| file.display().to_string())?;
        let endured = kill::with(mutant, || scenario.endure());
        println!("{}", endured.story);
        endured.broken.iter().for_each(|broken| println!("{broken}"));
        endured.unmet.iter().for_each(|unmet| println!("{unmet}"));
    }
    Ok(())
}

fn chosen(names: &str) -> anyhow::Result<Vec<Mutant>> {
    let named = |name: &str| {
        let found = Mutant::ALL.iter().find(|mutant| format!("{mutant:?}") == name).copied();
        found.with_context(|| format!("there is no mutant {name}"))
    };
    if names.is_empty() {
        return Ok(Mutant::ALL.to_vec());
    }
    names.split(',').map(|name| named(name.trim())).collect()
}

/// On as many threads as there are cores: a break is on in its own thread only.
fn all(wanted: &[Mutant]) -> Vec<Row> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutant) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = kill::hunt(*mutant);
                    rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|row| row.mutant);
    rows
}
