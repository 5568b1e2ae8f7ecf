//! `cargo xtask mutants`: every deliberate break must be found by its oracle, and docs/safety.md must say how.

use std::process::Stdio;

use anyhow::{Context, bail, ensure};

use crate::place;

const PAGE: &str = "docs/safety.md";
const BEGIN: &str = "<!-- mutants: begin -->";
const END: &str = "<!-- mutants: end -->";

/// Hunts those that are named, all without names; compares the table with the page, or writes it there.
pub(crate) fn command(names: &str, write: bool) -> anyhow::Result<()> {
    let hunt =
        ["run", "--quiet", "--package", "sim", "--features", "mutants", "--", "--mutants", names];
    let output = place::cargo(&hunt)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let rows: Vec<String> = table.into_iter().map(without_time).collect();
    if write {
        ensure!(names.is_empty(), "only a hunt of all mutants is written");
        rewrite(&rows)?;
    } else {
        compare(&rows)?;
    }
    ensure!(output.status.success(), "not every mutant was killed");
    Ok(())
}

/// The last column differs from run to run.
fn without_time(row: &str) -> String {
    let row = row.trim_end_matches(['|', ' ']);
    row.rsplit_once('|').map_or_else(|| row.to_owned(), |(kept, _)| format!("{}|", kept))
}

fn compare(rows: &[String]) -> anyhow::Result<()> {
    let page = page()?;
    let (_, table, _) = parts(&page)?;
    let missing: Vec<&String> =
        rows.iter().filter(|row| !table.lines().any(|l| l == *row)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for row in missing {
        println!("not in {PAGE}: {row}");
    }
    bail!("{PAGE} tells something else; `cargo xtask mutants --write` writes the table there");
}

fn rewrite(rows: &[String]) -> anyhow::Result<()> {
    let page = page()?;
    let (before, _, after) = parts(&page)?;
    let text = format!("{before}{BEGIN}\n{}\n{END}{after}", rows.join("\n"));
    std::fs::write(place::root().join(PAGE), text).context(PAGE)
}

fn page() -> anyhow::Result<String> {
    std::fs::read_to_string(place::root().join(PAGE)).context(PAGE)
}

fn parts(page: &str) -> anyhow::Result<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE}: no {BEGIN}"))?;
    let (table, after) = rest.split_once(END).with_context(|| format!("{PAGE}: no {END}"))?;
    Ok((before, table, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_row_is_left_out() {
        assert_eq!(
            without_time("| M01 | a break | `x` | yes | 0.5 s |"),
            "| M01 | a break | `x` | yes |"
        );
    }
}
