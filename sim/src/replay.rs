//! `sim replay RECORD`: the core of a real controller once more, over what it had recorded.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use controller::record;

/// Run the core of a real controller once more over its record, and compare each line of its journal.
#[derive(clap::Args)]
pub(crate) struct Replay {
    /// Records, of `records` in a controller's `state_dir`.
    #[arg(required = true, value_name = "RECORD")]
    files: Vec<PathBuf>,
    /// Print no line before this second of the record.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    from: f64,
    /// Print no line after this second of the record.
    #[arg(long, value_name = "SECONDS", default_value_t = f64::INFINITY)]
    until: f64,
    /// Print only lines that name this node.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Replays and prints; whatever is filtered, everything is compared.
pub(crate) fn run(arguments: &Replay) -> anyhow::Result<()> {
    let mut differ = 0;
    for file in &arguments.files {
        let name = || format!("{}", file.display());
        let open = File::open(file).with_context(name)?;
        let replayed = record::replay(BufReader::new(open), |decision| {
            let at = decision.at.as_secs_f64();
            let named = arguments.node.as_ref().is_none_or(|node| decision.names(node));
            if named && (arguments.from..=arguments.until).contains(&at) {
                println!("{decision}");
            }
        });
        let replayed = replayed.with_context(name)?;
        println!("{}: {replayed}", name());
        differ += usize::from(replayed.difference.is_some());
    }
    anyhow::ensure!(differ == 0, "{differ} of {} records differ", arguments.files.len());
    Ok(())
}
