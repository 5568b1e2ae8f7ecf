//! `sim replay RECORD`: the core of a real controller or agent once more, over what it had recorded.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use controller::record as controller;
use node_agent::record as agent;
use record::Title;

/// Run the core of a real controller or agent once more over its record, and compare what comes of each event.
#[derive(clap::Args)]
pub(crate) struct Replay {
    /// Records, of `records` in a program's `state_dir`.
    #[arg(required = true, value_name = "RECORD")]
    files: Vec<PathBuf>,
    /// Print no line before this second of the record.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    from: f64,
    /// Print no line after this second of the record.
    #[arg(long, value_name = "SECONDS", default_value_t = f64::INFINITY)]
    until: f64,
    /// Print only lines that name this node: by its name, in a record of an agent by its id.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Replays and prints; whatever is filtered, everything is compared.
pub(crate) fn run(arguments: &Replay) -> anyhow::Result<()> {
    let mut differ = 0;
    for file in &arguments.files {
        let name = || format!("{}", file.display());
        let open = File::open(file).with_context(name)?;
        let (title, reader) = Title::read(BufReader::new(open)).with_context(name)?;
        let differs = if title.program == agent::PROGRAM {
            let told = |decision: &agent::Decision| {
                arguments.tell(decision.at, |node| decision.text.contains(node), decision);
            };
            let replayed = agent::replay(title, reader, told).with_context(name)?;
            println!("{}: {replayed}", name());
            replayed.difference.is_some()
        } else {
            let told = |decision: &controller::Decision| {
                arguments.tell(decision.at, |node| decision.names(node), decision);
            };
            let replayed = controller::replay_rest(title, reader, told).with_context(name)?;
            println!("{}: {replayed}", name());
            replayed.difference.is_some()
        };
        differ += usize::from(differs);
    }
    anyhow::ensure!(differ == 0, "{differ} of {} records differ", arguments.files.len());
    Ok(())
}

impl Replay {
    /// Prints a decision, unless the options leave it out.
    fn tell(&self, at: Duration, names: impl Fn(&str) -> bool, decision: &dyn Display) {
        let wanted = (self.from..=self.until).contains(&at.as_secs_f64());
        if wanted && self.node.as_deref().is_none_or(names) {
            println!("{decision}");
        }
    }
}
