//! How the time to a verdict and the cost of a node grow with the number of nodes, in the simulator: a table, and a plot.

mod plot;

use anyhow::{Context as _, Result, ensure};

use self::plot::{Line, Panel};
use crate::place;

/// Where the plot is kept.
const PLOT: &str = "docs/detection.svg";
/// The slowest verdict that is allowed in any cluster, in seconds: sweep, T_obs and S, and room for a lost datagram.
const SLOWEST: f64 = 4.5;
/// The most that a node may send more in the largest cluster than in the smallest, as a factor.
const GROWTH: f64 = 1.5;

/// What is to be measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Nodes, for one run each
    #[arg(long, value_delimiter = ',', default_values_t = [60, 200, 1000], value_parser = clap::value_parser!(u16).range(9..=16_384))]
    nodes: Vec<u16>,
    /// Networks, 1 to 3: a node holds all members once for each, and sends on each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    networks: u8,
    /// Nodes that lose their power, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    deaths: u16,
    /// Everything follows from it
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Write the plot into docs/
    #[arg(long)]
    write: bool,
    /// Use the simulator that the tests were built with
    #[arg(long)]
    built: bool,
}

/// One size, as the simulator tells it.
struct Row {
    nodes: f64,
    told: String,
}

pub(crate) fn command(args: &Args) -> Result<()> {
    if !args.built {
        let status = place::cargo(&["build", "-p", "sim"]).status()?;
        ensure!(status.success(), "the simulator does not build");
    }
    println!(
        "seconds from the loss of power until the node is down on all networks; per node and second at rest"
    );
    let (networks, seed) = (args.networks, args.seed);
    println!("networks: {networks}; 3 controllers, 0.5 % of all datagrams are lost, seed {seed}\n");
    println!(
        "| nodes | deaths | suspected, median | verdict, median | worst | wrong | gossip packets | gossip bytes | met | pongs | lease packets | s of a core | MiB |"
    );
    println!(
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let mut rows = Vec::new();
    for nodes in &args.nodes {
        let row = measure(args, *nodes)?;
        let value = |name: &str| row.value(name);
        println!(
            "| {nodes} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            value("deaths")?,
            value("suspected")?,
            value("down")?,
            value("down-worst")?,
            value("wrong")?,
            value("gossip")?,
            value("gossip-bytes")?,
            value("met")?,
            value("pings")?,
            value("lease")?,
            value("cpu")?,
            value("peak-mib")?
        );
        rows.push(row);
    }
    if args.write {
        let file = place::root().join(PLOT);
        std::fs::write(&file, plot(&rows, args.networks)?)
            .with_context(|| file.display().to_string())?;
        println!("\n{PLOT} is written");
    }
    println!();
    judge(&rows)
}

fn measure(args: &Args, nodes: u16) -> Result<Row> {
    let program = place::target().join("debug").join("sim");
    let program = program.to_str().context("the target directory has a strange name")?;
    let (count, deaths, seed) = (nodes.to_string(), args.deaths.to_string(), args.seed.to_string());
    let networks = args.networks.to_string();
    let words = ["--nodes", &count, "--networks", &networks, "--deaths", &deaths, "--seed", &seed];
    let output = place::program(program, &words).output()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{nodes} nodes: {told}{errors}");
    Ok(Row { nodes: f64::from(nodes), told })
}

impl Row {
    /// The number that follows a name.
    fn value(&self, name: &str) -> Result<f64> {
        let mut words = self.told.split_whitespace().skip_while(|word| *word != name);
        let word = words.nth(1).with_context(|| format!("no {name} in {:?}", self.told))?;
        word.parse().with_context(|| format!("{name} is {word}"))
    }
}

fn judge(rows: &[Row]) -> Result<()> {
    let mut missed = Vec::new();
    for row in rows {
        let nodes = row.nodes;
        if row.value("missed")? > 0.0 || row.value("wrong")? > 0.0 {
            missed.push(format!("{nodes} nodes: a death was missed, or a living node judged down"));
        }
        // What is not a number is not met either.
        let worst = row.value("down-worst")?;
        if worst.is_nan() || worst > SLOWEST {
            missed.push(format!("{nodes} nodes: a verdict took {worst} s, more than {SLOWEST}"));
        }
    }
    missed.extend(grows("packets", "gossip", rows)?);
    // Members that have not met send more bytes, whatever their number.
    let mut met = Vec::new();
    for row in rows {
        if row.value("met")? >= 1.0 {
            met.push(row);
        } else {
            println!("{} nodes: bytes are not compared, for not all have met", row.nodes);
        }
    }
    missed.extend(grows("bytes", "gossip-bytes", met)?);
    ensure!(missed.is_empty(), "goals missed: {}", missed.join("; "));
    Ok(())
}

/// Says how much more of it a node sends in the largest cluster than in the smallest; answers what is too much.
fn grows<'a>(
    what: &str,
    name: &str,
    rows: impl IntoIterator<Item = &'a Row>,
) -> Result<Option<String>> {
    let rows: Vec<&Row> = rows.into_iter().collect();
    let [first, .., last] = rows[..] else { return Ok(None) };
    let growth = last.value(name)? / first.value(name)?;
    println!(
        "gossip of a node with {} nodes, {what}: {growth:.2} times that with {}",
        last.nodes, first.nodes
    );
    let too_much = growth > GROWTH && last.nodes > first.nodes;
    Ok(too_much
        .then(|| format!("a node's gossip grows {growth:.2} times in {what}, more than {GROWTH}")))
}

fn plot(rows: &[Row], networks: u8) -> Result<String> {
    let points = |name: &str| -> Result<Vec<(f64, f64)>> {
        rows.iter().map(|row| Ok((row.nodes, row.value(name)?))).collect()
    };
    let rule = |row: &Row| (row.nodes, 2.0 + 4.0 * row.nodes.log10());
    let times = Panel {
        title: "seconds from death to verdict".to_owned(),
        lines: vec![
            Line { name: "verdict, worst", colour: "#b03c44", points: points("down-worst")? },
            Line { name: "verdict, median", colour: "#1f5fa8", points: points("down")? },
            Line { name: "suspected, median", colour: "#4d9a4d", points: points("suspected")? },
            Line {
                name: "Serf: 2 s + 4 log10 N",
                colour: "#999999",
                points: rows.iter().map(rule).collect(),
            },
        ],
    };
    let cost = Panel {
        title: format!("packets a node sends in a second; networks: {networks}"),
        lines: vec![
            Line { name: "gossip", colour: "#1f5fa8", points: points("gossip")? },
            Line { name: "answers to sweeps", colour: "#4d9a4d", points: points("pings")? },
            Line { name: "lease", colour: "#b03c44", points: points("lease")? },
        ],
    };
    Ok(plot::svg(&[times, cost]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(nodes: f64, worst: f64, bytes: f64) -> Row {
        let told = format!(
            "nodes {nodes} missed 0 wrong 0 suspected 0.5 down 3.2 down-worst {worst} gossip 3 gossip-bytes {bytes} met 1 pings 9 lease 9"
        );
        Row { nodes, told }
    }

    #[test]
    fn a_slow_verdict_and_gossip_that_grows_miss_their_goals() {
        assert!(judge(&[row(60.0, 3.9, 300.0), row(1000.0, 4.0, 320.0)]).is_ok());
        assert!(judge(&[row(60.0, 5.0, 300.0)]).is_err());
        assert!(judge(&[row(60.0, f64::NAN, 300.0)]).is_err());
        assert!(judge(&[row(60.0, 3.9, 300.0), row(1000.0, 4.0, 900.0)]).is_err());
    }

    #[test]
    fn the_plot_has_a_line_for_each_thing_measured() {
        let svg = plot(&[row(60.0, 3.9, 300.0), row(1000.0, 4.0, 320.0)], 1).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 7);
        assert!(svg.contains("networks: 1"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
