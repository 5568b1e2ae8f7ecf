//! `model`: searches the models and prints a row each.

#![allow(clippy::print_stdout, reason = "a command line program prints")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use model::check::{Limits, Outcome};
use model::suite::{Job, Must, holes, mutants, quick, whole, wide};

/// Checks the protocols in every state that the models' bounds admit, then every break.
#[derive(Parser)]
#[command(name = "model")]
struct Arguments {
    /// Only these models, bounds (`sets`) or breaks, by their names
    names: Vec<String>,
    /// Only bounds that take a few seconds
    #[arg(long)]
    quick: bool,
    /// Also bounds that take minutes each
    #[arg(long, conflicts_with = "quick")]
    wide: bool,
    /// Tell how each violation comes about
    #[arg(long)]
    trace: bool,
    /// Searches at a time; each has one thread, so that a trace is a shortest one
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begin = Instant::now();
    println!("{:<34} {:>10} {:>5} {:>7}  result", "model, bounds", "states", "depth", "seconds");
    let mut first = if arguments.quick { quick() } else { whole() };
    if arguments.wide {
        first.extend(wide());
    }
    // States of whole models, and those of searches that end where a rule is broken: only the first are a proof.
    let (mut whole, mut broken, mut bad) = (0, 0, 0);
    for (title, jobs) in [("", first), ("breaks", mutants()), ("holes in the code", holes())] {
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| arguments.wants(job)).collect();
        if !jobs.is_empty() && !title.is_empty() {
            println!("\n{title}:");
        }
        run_all(&jobs, arguments.jobs, &mut |job, outcome| {
            match job.must {
                Must::Hold => whole += outcome.states,
                Must::Break => broken += outcome.states,
            }
            bad += usize::from(!job.is_good(outcome));
            print(job, outcome, arguments.trace);
        });
    }
    println!(
        "\n{whole} unique states of whole models, {broken} more until each break was seen, {:.0} s, \
         {bad} not as they must be",
        begin.elapsed().as_secs_f64()
    );
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Arguments {
    fn wants(&self, job: &Job) -> bool {
        let named = |name: &String| name == job.model || *name == job.mutant;
        self.names.is_empty() || self.names.iter().any(named)
    }
}

/// Far above what any of them takes; a search that ends there counts as unfinished.
const LIMITS: Limits = Limits { threads: 1, states: 200_000_000, time: Duration::from_secs(900) };

/// Runs jobs, some at a time, and tells of each when it has ended.
fn run_all(jobs: &[Job], at_a_time: usize, tell: &mut (dyn FnMut(&Job, &Outcome) + Send)) {
    let next = Mutex::new(0..jobs.len());
    let tell = Mutex::new(tell);
    let turn = || next.lock().ok().and_then(|mut next| next.next());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.max(1) {
            scope.spawn(|| {
                while let Some(job) = turn().and_then(|turn| jobs.get(turn)) {
                    let outcome = job.run(LIMITS);
                    if let Ok(mut tell) = tell.lock() {
                        tell(job, &outcome);
                    }
                }
            });
        }
    });
}

fn print(job: &Job, outcome: &Outcome, trace: bool) {
    let Outcome { states, depth, .. } = outcome;
    let seconds = outcome.time.as_secs_f64();
    let name = match job.must {
        Must::Hold => outcome.name.clone(),
        Must::Break => format!("{} {}", job.model, job.mutant),
    };
    let verdict = match (job.must, outcome.broken.as_slice()) {
        (Must::Hold, []) if outcome.is_good() => {
            format!("exhausted: {}; reached: {}", outcome.bounds, outcome.reached.join(", "))
        }
        (Must::Hold, []) if !outcome.exhausted => "NOT EXHAUSTED".to_owned(),
        (Must::Hold, []) => format!("NEVER REACHED: {}", outcome.missed.join(", ")),
        (Must::Break, []) => format!("NOT SEEN: {}", job.breaks),
        (must, broken) => {
            let names: Vec<&str> = broken.iter().map(|(name, _)| *name).collect();
            let steps = broken.first().map_or(0, |(_, story)| story.len());
            let what = if must == Must::Hold { "VIOLATED" } else { "seen by" };
            format!(
                "{what} {} after {steps} steps: {} {}",
                names.join(", "),
                job.breaks,
                job.number
            )
        }
    };
    println!("{name:<34} {states:>10} {depth:>5} {seconds:>7.1}  {}", verdict.trim_end());
    if trace || (job.must == Must::Hold && !outcome.broken.is_empty()) {
        for line in outcome.broken.first().iter().flat_map(|(_, story)| story) {
            println!("    {line}");
        }
    }
}
