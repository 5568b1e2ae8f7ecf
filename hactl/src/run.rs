//! Carries one command out.

use api::{Request, State, Vms};
use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use crate::cli::{Cli, Command};
use crate::client::{Client, Reach};
use crate::client_error::ClientError;
use crate::gossip_now::Now;
use crate::outcome::{Exit, Outcome};
use crate::picture::{Picture, json};
use crate::table::Look;
use crate::terminal::Terminal;
use crate::{
    bmc, check, cli, drill, dump, fenced, gossip_calc, guards, incidents, keys, matrix, net, nodes,
    orders, policy, status, vms, why, why_record,
};

/// Carries one command out. `lab` and `internal` are programs of their own and are refused here.
pub async fn run(cli: Cli, terminal: &mut Terminal) -> Outcome {
    let shell = Shell { reach: cli.reach, json: cli.json };
    match cli.command {
        Command::Why(why::Args { node, record }) if !record.is_empty() => {
            why_record::run(&node, &record, shell.json)
        }
        Command::Status(_)
        | Command::Nodes(_)
        | Command::Check(_)
        | Command::Why(_)
        | Command::Net(_)
        | Command::Dump(_)
        | Command::Incidents(incidents::Args { what: None, .. })
        | Command::Fenced(fenced::Args { what: fenced::What::List }) => match shell.picture().await
        {
            Ok(picture) => look_at(&cli.command, &picture, shell.json, terminal.look),
            Err(outcome) => outcome,
        },
        Command::Incidents(args) => incidents::run(args, &shell, terminal).await,
        Command::Vms(args) => vms::run(&args, &shell.reach, shell.json, terminal.look).await,
        Command::Policy(args) => policy::run(args.what, &shell).await,
        Command::Fenced(args) => fenced::run(args.what, &shell, terminal).await,
        Command::Fence(args) => orders::fence(args, &shell, terminal).await,
        Command::Drill(args) => drill::run(args, &shell, terminal).await,
        Command::Maintenance(args) => orders::maintenance(args, &shell, terminal).await,
        Command::Disarm(args) => orders::disarm(args, &shell, terminal).await,
        Command::Arm(args) => orders::arm(args, &shell, terminal).await,
        Command::Noop(args) => orders::noop(&args, &shell).await,
        Command::Bmc(args) => bmc::run(args.what, &shell, terminal).await,
        Command::Matrix(args) => matrix::run(args.what, &shell, terminal).await,
        Command::Gossip(args) => {
            let now = Now::ask(&shell.reach).await;
            gossip_calc::shown(&args, now, shell.json, terminal.look)
        }
        Command::Keys(args) => keys::run(&args, shell.json),
        Command::Completion(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "hactl", &mut script);
            Outcome::fine(String::from_utf8_lossy(&script))
        }
        Command::Guards => Outcome::fine(guards::text()),
        Command::ExitCodes => Outcome::fine(cli::exit_codes()),
        Command::Lab(_) | Command::Internal(_) => {
            Outcome::failed(Exit::Usage, "the lab is started by the program itself")
        }
    }
}

/// What a command that only looks (`status`, `nodes`, `check`, `why`, `net`, `incidents`, `fenced list`) prints for this state; for
/// scenarios and tests.
#[must_use]
pub fn page(words: &[&str], state: &State, look: Look) -> Outcome {
    let cli = match Cli::try_parse_from(std::iter::once("hactl").chain(words.iter().copied())) {
        Ok(cli) => cli,
        Err(error) => return Outcome::of_usage(&error),
    };
    match Picture::of_state(state) {
        Ok(picture) => look_at(&cli.command, &picture, cli.json, look),
        Err(error) => Outcome::failed(Exit::Failed, format!("the state is no JSON: {error}")),
    }
}

/// What `hactl vms` prints for this answer; for scenarios and tests.
#[must_use]
pub fn vms_page(words: &[&str], vms: &Vms, look: Look) -> Outcome {
    let cli = match Cli::try_parse_from(std::iter::once("hactl").chain(words.iter().copied())) {
        Ok(cli) => cli,
        Err(error) => return Outcome::of_usage(&error),
    };
    match (cli.command, serde_json::to_value(vms)) {
        (Command::Vms(args), Ok(value)) => vms::shown(&args, value, cli.json, look),
        _ => Outcome::failed(Exit::Usage, "this command does not show VMs"),
    }
}

fn look_at(command: &Command, picture: &Picture, as_json: bool, look: Look) -> Outcome {
    let state = &picture.state;
    #[allow(clippy::wildcard_enum_match_arm)] // The commands that look are few, the others many.
    match command {
        Command::Status(args) => {
            let outcome = status::page(args, state, look);
            if as_json { Outcome { out: line(&picture.raw), ..outcome } } else { outcome }
        }
        Command::Nodes(args) => match nodes::chosen(args, state) {
            Ok(_) if as_json => Outcome::fine(json(&nodes::json(args, picture))),
            Ok(nodes) => Outcome::fine(nodes::page(args, &nodes, state, look)),
            Err(why) => Outcome::failed(Exit::Failed, why),
        },
        Command::Check(args) => match check::chosen(args, state) {
            Ok(nodes) if as_json => {
                let outcome = check::page(&nodes, state, look);
                Outcome { out: json(&check::json(args, picture)), ..outcome }
            }
            Ok(nodes) => check::page(&nodes, state, look),
            Err(why) => Outcome::failed(Exit::Failed, why),
        },
        Command::Why(args) => match nodes::find(state, &args.node) {
            Ok(_) if as_json => Outcome::fine(json(&picture.one("nodes", named(&args.node)))),
            Ok(node) => Outcome::fine(why::page(node, state, look)),
            Err(why) => Outcome::failed(Exit::Failed, why),
        },
        Command::Net(args) if as_json => match net::value(args, state) {
            Ok(value) => Outcome::fine(json(&value)),
            Err(why) => Outcome::failed(Exit::Failed, why),
        },
        Command::Net(args) => match net::page(args, state, look) {
            Ok(page) => Outcome::fine(page),
            Err(why) => Outcome::failed(Exit::Failed, why),
        },
        Command::Incidents(args) if as_json => match args.id {
            Some(id) => match incidents::find(state, id) {
                Ok(_) => Outcome::fine(json(&picture.one("incidents", |item| item["id"] == id))),
                Err(why) => Outcome::failed(Exit::Failed, why),
            },
            None => Outcome::fine(json(&picture.list("incidents", incidents::keeps(args)))),
        },
        Command::Incidents(args) => incidents::page(args, state, look),
        Command::Dump(args) if args.raw || as_json => Outcome::fine(json(&picture.whole())),
        Command::Dump(_) => Outcome::fine(dump::page(state, look)),
        Command::Gossip(args) => gossip_calc::shown(args, Now::of(state), as_json, look),
        Command::Fenced(_) if as_json => Outcome::fine(json(&picture.list("fenced", |_| true))),
        Command::Fenced(_) => Outcome::fine(fenced::list(state, look)),
        _ => Outcome::failed(Exit::Usage, "this command does not only look"),
    }
}

/// Whether an element of a list has this name.
pub(crate) fn named(name: &str) -> impl Fn(&Value) -> bool {
    move |item| item["name"] == name
}

fn line(raw: &str) -> String {
    format!("{}\n", raw.trim_end())
}

/// What orders need: where the controllers are, and how to answer.
pub(crate) struct Shell {
    reach: Reach,
    /// Whether programs read the output.
    pub(crate) json: bool,
}

impl Shell {
    /// The picture, or how the command ends without it.
    pub(crate) async fn picture(&self) -> Result<Picture, Outcome> {
        let client = Client::new(&self.reach).map_err(|error| failed(&error))?;
        client.picture().await.map_err(|error| failed(&error))
    }

    /// Sends an order and tells the answer.
    pub(crate) async fn order(&self, request: &Request) -> Outcome {
        let client = match Client::new(&self.reach) {
            Ok(client) => client,
            Err(error) => return failed(&error),
        };
        match client.order(request).await {
            Ok(done) if self.json => Outcome::fine(json(&done)),
            Ok(done) => {
                Outcome::fine(format!("{}\ncommitted at index {}\n", done.said, done.index))
            }
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &ClientError) -> Outcome {
    Outcome::failed(error.exit(), error.to_string())
}
