//! What the nodes send now, for `hactl gossip calc`: as they told the leader.

use std::fmt::Write as _;

use api::{Among, SentByNodes, State, sent_by_nodes};
use serde::Serialize;

use crate::client::{Client, Reach};
use crate::client_error::ClientError;
use crate::reading::{count, span};
use crate::table::{Look, Table, plain};

/// What is known of it, as `--json` prints it: either what is measured, or why nothing is.
#[derive(Debug, Serialize)]
pub(crate) struct Now {
    measured: Option<Measured>,
    not_measured: Option<String>,
}

/// What the nodes told.
#[derive(Debug, Serialize)]
struct Measured {
    nodes: usize,
    nodes_known: usize,
    /// Of the node that told it last.
    newest_s: f64,
    /// Of the node that told it first.
    oldest_s: f64,
    networks: Vec<SentByNodes>,
}

impl Now {
    /// Asks the leader, if any controller is named. That nobody answers is an answer too.
    pub(crate) async fn ask(reach: &Reach) -> Self {
        let picture = match Client::new(reach) {
            Ok(client) => client.picture().await,
            Err(error) => Err(error),
        };
        match picture {
            Ok(picture) => Self::of(&picture.state),
            Err(error) => Self::unknown(&why_not(&error)),
        }
    }

    /// What this picture says.
    pub(crate) fn of(state: &State) -> Self {
        let ages = state.nodes.iter().filter_map(|node| Some(node.sent.as_ref()?.age_s));
        let ages: Vec<f64> = ages.collect();
        if ages.is_empty() {
            return Self::unknown("no node has told the leader yet what it sends");
        }
        let measured = Measured {
            nodes: state.nodes.len(),
            nodes_known: ages.len(),
            newest_s: ages.iter().copied().fold(f64::INFINITY, f64::min),
            oldest_s: ages.iter().copied().fold(0.0, f64::max),
            networks: sent_by_nodes(state),
        };
        Self { measured: Some(measured), not_measured: None }
    }

    /// Nothing is measured, for this reason.
    pub(crate) fn unknown(why: &str) -> Self {
        Self { measured: None, not_measured: Some(why.to_owned()) }
    }

    /// For people, beside what is reckoned: packets and bytes that a node sends in a second at most.
    pub(crate) fn page(&self, reckoned: (f64, f64), look: Look) -> String {
        let mut out = format!("\n{}\n", look.bold("What a node sends now, on each network"));
        let Some(measured) = &self.measured else {
            let why = self.not_measured.as_deref().unwrap_or_default();
            let _ = writeln!(out, "  not measured: {why}");
            return out;
        };
        let Measured { nodes, nodes_known, newest_s, oldest_s, networks } = measured;
        let _ = writeln!(
            out,
            "  told by {nodes_known} of {}, {} to {} ago, each over half a minute\n",
            count(*nodes, "node"),
            span(*newest_s),
            span(*oldest_s)
        );
        out += &table(networks, reckoned, look);
        for on in networks.iter().filter(|on| on.put_off_nodes > 0) {
            let nodes = count(on.put_off_nodes, "node");
            let _ = writeln!(out, "  on {} gossip of {nodes} waited for its ceiling", on.network);
        }
        out
    }
}

fn table(networks: &[SentByNodes], (packets, bytes): (f64, f64), look: Look) -> String {
    let header = ["NETWORK", "WHAT", "PACKETS/S", "WORST", "AT MOST", "B/S", "WORST", "AT MOST"];
    let mut table = Table::new(look, &header).indent(2);
    for column in 2..header.len() {
        table = table.right(column);
    }
    for on in networks {
        let Among { median, worst } = on.gossip;
        table.row([
            plain(&on.network),
            plain("gossip"),
            plain(format!("{:.1}", median.packets_per_s)),
            plain(format!("{:.1}", worst.packets_per_s)),
            plain(format!("{packets:.1}")),
            plain(format!("{:.0}", median.bytes_per_s)),
            plain(format!("{:.0}", worst.bytes_per_s)),
            plain(format!("{bytes:.0}")),
        ]);
        let Among { median, worst } = on.all;
        table.row([
            plain(""),
            plain("all"),
            plain(format!("{:.1}", median.packets_per_s)),
            plain(format!("{:.1}", worst.packets_per_s)),
            plain(""),
            plain(format!("{:.0}", median.bytes_per_s)),
            plain(format!("{:.0}", worst.bytes_per_s)),
            plain(""),
        ]);
    }
    table.render()
}

/// One line: what is reckoned is there all the same.
fn why_not(error: &ClientError) -> String {
    match error {
        ClientError::NoControllers => {
            "no controller answered: none is named (--controllers, HOLDFAST_CONTROLLERS)".to_owned()
        }
        ClientError::Unreachable { .. } | ClientError::NoLeader { .. } => {
            "no controller answered as leader: `hactl status` tells more".to_owned()
        }
        ClientError::Url { .. }
        | ClientError::File { .. }
        | ClientError::Start(_)
        | ClientError::NotAllowed { .. }
        | ClientError::Refused { .. }
        | ClientError::Unknown { .. }
        | ClientError::Language { .. } => {
            error.to_string().lines().next().unwrap_or_default().to_owned()
        }
    }
}
