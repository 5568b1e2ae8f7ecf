//! `hactl gossip calc`: what gossip costs and how fast news spreads, by arithmetic, beside what is sent now.

use std::fmt::Write as _;

use serde::Serialize;

use crate::gossip_now::Now;
use crate::outcome::Outcome;
use crate::picture::json;
use crate::table::{Look, Table, plain};

const MORE: &str = "\
How it is reckoned:
  traffic   every round a node sends one packet to each of FANOUT others, all of
            them full: the most that there can be. At rest there is no news, and
            what remains is one probe and its answer a second. As many packets
            come in as go out.
  spread    news spreads as an infection does: of N nodes a share of
            1 / (1 + (N - 1) exp(-B r)) knows it after r rounds, with
            B = FANOUT / 2, less what is lost and less the dead who are asked in
            vain. The half is for packets to nodes that know it already. A round
            has passed when its interval is over, so times are whole rounds.

Our own gossip has 200 ms, 3 nodes, packets of at most 1200 bytes. For 30 nodes and
packets of 1400 bytes a node moves 41 KiB/s at most, and 99 % know after 1.2 s.

What is measured now:
  traffic   where controllers are named, their leader is asked what the nodes send:
            each tells it every 30 s, for each network. Gossip is what leaves by the
            gossip port, and can be held against what is reckoned; all is that and
            renewals, pings and the answers to them. Bytes are as the programs count
            them, without headers of IP and UDP.
  spread    is not measured live: nothing is told to all members but that a node is
            fenced. `cargo xtask bench-detect` measures it, and how fast a death is seen.

Examples:
  hactl gossip calc --nodes 1000
  hactl gossip calc --nodes 100 --interval 100 --fanout 4
  hactl gossip calc --nodes 30 --loss 20 --failed 10 --json

Exit codes: 0 answered, with what is measured or without; 2 usage.";

/// Gossip: what it costs and how it spreads.
#[derive(Clone, Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do about gossip.
#[allow(missing_docs)] // The doc of a variant would hide that of its arguments, which is the help.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    Calc(CalcArgs),
}

/// Traffic of a node, and the time until 50, 99 and 99.99 % of the nodes know something.
///
/// By arithmetic, beside what the nodes send now where a controller answers. It changes nothing. Traffic does not depend
/// on the number of nodes; the time grows with its logarithm.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct CalcArgs {
    /// Nodes of the cluster.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub nodes: u32,

    /// Milliseconds from one round to the next.
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub interval: u32,

    /// How many nodes one sends to in a round.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub fanout: u32,

    /// Bytes of a full packet.
    #[arg(long, value_name = "BYTES", default_value_t = 1400, value_parser = clap::value_parser!(u32).range(1..=65_507))]
    pub packet: u32,

    /// Per cent of all packets that are lost.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=99))]
    pub loss: u32,

    /// Per cent of the nodes that are dead, and not yet known to be.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=99))]
    pub failed: u32,
}

/// Shares of the nodes whose times are told.
const SHARES: [f64; 3] = [0.5, 0.99, 0.9999];
const KIB: f64 = 1024.0;

/// What comes of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Reckoned {
    nodes: u32,
    interval_ms: u32,
    fanout: u32,
    packet_bytes: u32,
    loss_percent: u32,
    failed_percent: u32,
    packets_sent_per_s: f64,
    bytes_sent_per_s: f64,
    bytes_sent_and_received_per_s: f64,
    convergence: Vec<Convergence>,
    #[serde(flatten)]
    now: Now,
}

/// When a share of the nodes knows it.
#[derive(Debug, Serialize)]
struct Convergence {
    percent: f64,
    rounds: u64,
    seconds: f64,
}

pub(crate) fn shown(args: &Args, now: Now, as_json: bool, look: Look) -> Outcome {
    let What::Calc(args) = &args.what;
    let reckoned = reckon(args, now);
    Outcome::fine(if as_json { json(&reckoned) } else { page(&reckoned, look) })
}

fn reckon(args: &CalcArgs, now: Now) -> Reckoned {
    let per_s = f64::from(args.fanout) * 1000.0 / f64::from(args.interval);
    let bytes = per_s * f64::from(args.packet);
    let convergence = SHARES.map(|share| {
        let rounds = rounds(args, share);
        // Few thousand rounds at most, so the cast is exact.
        let seconds = rounds as f64 * f64::from(args.interval) / 1000.0;
        Convergence { percent: share * 100.0, rounds, seconds }
    });
    Reckoned {
        nodes: args.nodes,
        interval_ms: args.interval,
        fanout: args.fanout,
        packet_bytes: args.packet,
        loss_percent: args.loss,
        failed_percent: args.failed,
        packets_sent_per_s: per_s,
        bytes_sent_per_s: bytes,
        bytes_sent_and_received_per_s: 2.0 * bytes,
        convergence: convergence.into_iter().collect(),
        now,
    }
}

/// Whole rounds after which at least this share knows it.
fn rounds(args: &CalcArgs, share: f64) -> u64 {
    let kept = |percent: u32| 1.0 - f64::from(percent) / 100.0;
    // Nobody can be sent to twice in a round.
    let fanout = f64::from(args.fanout.min(args.nodes - 1));
    let pace = fanout / 2.0 * kept(args.loss) * kept(args.failed);
    let others = f64::from(args.nodes - 1);
    let rounds = (others * share / (1.0 - share)).ln() / pace;
    // A hair less than a whole number is that number: floats are not exact.
    (rounds - 1e-9).ceil().max(1.0) as u64
}

fn page(reckoned: &Reckoned, look: Look) -> String {
    let Reckoned { nodes, interval_ms, fanout, packet_bytes, loss_percent, failed_percent, .. } =
        reckoned;
    let mut out = format!(
        "{nodes} nodes; every {interval_ms} ms each sends to {fanout} of them; packets of {packet_bytes} bytes\n"
    );
    if *loss_percent > 0 || *failed_percent > 0 {
        let _ = writeln!(out, "{loss_percent} % of packets lost, {failed_percent} % of nodes dead");
    }
    let _ = writeln!(out, "\n{}", look.bold("Traffic of a node, at most"));
    let mut table = Table::new(look, &["", "PACKETS/S", "KIB/S"]).indent(2).right(1).right(2);
    let sent = (reckoned.packets_sent_per_s, reckoned.bytes_sent_per_s);
    let both = (2.0 * sent.0, reckoned.bytes_sent_and_received_per_s);
    for (name, (packets, bytes)) in [("sent", sent), ("sent and received", both)] {
        let kib = format!("{:.1}", bytes / KIB);
        table.row([plain(name), plain(format!("{packets:.1}")), plain(kib)]);
    }
    out += &table.render();
    let _ = writeln!(
        out,
        "\n{}",
        look.bold("News of one node is known, reckoned: it is not measured live")
    );
    let mut table = Table::new(look, &["TO", "ROUNDS", "AFTER"]).indent(2).right(1).right(2);
    for known in &reckoned.convergence {
        let seconds = format!("{:.2} s", known.seconds);
        table.row([plain(format!("{} %", known.percent)), plain(known.rounds), plain(seconds)]);
    }
    out += &table.render();
    out + &reckoned.now.page((reckoned.packets_sent_per_s, reckoned.bytes_sent_per_s), look)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(nodes: u32, loss: u32) -> CalcArgs {
        CalcArgs { nodes, interval: 200, fanout: 3, packet: 1400, loss, failed: 0 }
    }

    fn unknown() -> Now {
        Now::unknown("nobody was asked")
    }

    #[test]
    fn the_published_figures_of_thirty_nodes_come_out() {
        let reckoned = reckon(&args(30, 0), unknown());
        assert_eq!(reckoned.packets_sent_per_s, 15.0);
        assert_eq!((reckoned.bytes_sent_and_received_per_s / KIB).round(), 41.0);
        let seconds: Vec<f64> = reckoned.convergence.iter().map(|known| known.seconds).collect();
        assert!((seconds[1] - 1.2).abs() < 0.06, "{seconds:?}");
    }

    #[test]
    fn time_grows_with_the_logarithm_and_with_loss_and_traffic_does_not() {
        let (small, large) = (reckon(&args(30, 0), unknown()), reckon(&args(3000, 0), unknown()));
        assert_eq!(small.bytes_sent_per_s, large.bytes_sent_per_s);
        let (few, many) = (small.convergence[1].rounds, large.convergence[1].rounds);
        assert!(many > few && many < 2 * few, "{few} {many}");
        assert!(rounds(&args(30, 50), 0.99) > few);
    }

    #[test]
    fn the_smallest_cluster_and_the_worst_loss_are_reckoned_too() {
        assert_eq!(rounds(&args(2, 0), 0.5), 1);
        assert!(rounds(&args(1_000_000, 99), 0.9999) < 10_000);
    }
}
