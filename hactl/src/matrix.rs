//! `hactl matrix`: the table that says what to do with which failure. Works without any controller, but for `apply` and
//! where `--running` is said.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use action_matrix::{Loaded, Matrix, Problems};
use api::Request;
use serde_json::json;

use crate::matrix_change::change;
use crate::matrix_pages::{as_value, row_table, rows, sound};
use crate::orders::{Person, who};
use crate::outcome::{Exit, Outcome};
use crate::picture::json as text_of;
use crate::run::Shell;
use crate::table::Look;
use crate::terminal::Terminal;

const MORE: &str = "\
Examples:
  hactl matrix show > my.toml               begin with the shipped one
  hactl matrix check my.toml                what is wrong, where, and the remedy
  hactl matrix explain m-t --matrix my.toml what it does when storage is lost
  hactl matrix apply my.toml                make the controllers use it

`check`, `show` and `explain` need no controller, unless you say --running.";

const CHECK: &str = "\
Examples:
  hactl matrix check my-matrix.toml
  hactl matrix check --deny-warnings matrices/*.toml      (in CI)
  hactl matrix show --running | hactl matrix check -

Exit codes: 0 sound, 1 not sound (or warnings, with --deny-warnings), 2 a file cannot be read.";

const SHOW: &str = "\
Examples:
  hactl matrix show > my-matrix.toml
  hactl matrix show --table
  hactl matrix show --running --table

Exit codes: 0 shown, 1 not sound (--table), 2 a file cannot be read, 3 no controller answers.";

const EXPLAIN: &str = "\
Examples:
  hactl matrix explain m-t
  hactl matrix explain management=up,storage=down,tenant=up disk=failed
  hactl matrix explain ---  --running        (what the controllers would do now)

Exit codes: 0 answered, 2 the cell or the file is wrong, 3 no controller answers.";

const APPLY: &str = "\
Examples:
  hactl matrix apply my-matrix.toml --dry-run    shows which cells would be decided otherwise
  hactl matrix apply my-matrix.toml

Exit codes: 0 committed, 1 not sound or refused, 2 the file cannot be read, 3 no controller answers.";

/// The table that says what to do with which failure.
///
/// A matrix is read from top to bottom like the rows of a firewall: the first row that matches decides. It is only taken
/// if it answers every cell, has no row that is never reached, and never fences because something is unknown.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MORE, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with a matrix.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// Is a matrix sound? If not: where, why, and what to write instead.
    ///
    /// It proves that every cell is answered and every row is reached, and warns of what its author should look at again.
    /// It does not know whether your networks have these names, and sends nothing to a controller.
    #[command(after_help = CHECK)]
    Check {
        /// The files; `-` is stdin.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,

        /// Fail on warnings too.
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Print a matrix: the shipped one, a file's, or the running one.
    ///
    /// The text goes to stdout as it is, to begin a file of your own with it.
    #[command(after_help = SHOW)]
    Show {
        /// Which matrix.
        #[command(flatten)]
        source: Source,

        /// Rows as a table instead of the file's text.
        #[arg(long)]
        table: bool,
    },
    /// What would be done in this cell, and why the rows before do not match.
    ///
    /// A cell is one state of a node, written as `management=up,storage=down`, with `up`, `down` or `unknown`, or in compact form with one
    /// letter per network, `-` for down and `?` for unknown, so that `m-t` has lost storage. Then come checks, such as
    /// `disk=failed` (`ok`, `failed` or `unknown`). A network that is not named is up, a check is ok.
    #[command(after_help = EXPLAIN)]
    Explain {
        /// The cell, such as `m-t`, or `management=up,storage=down disk=failed`.
        #[arg(value_name = "CELL", allow_hyphen_values = true)]
        cell: String,

        /// More of the cell, such as `disk=failed`.
        #[arg(value_name = "CHECK=STATE")]
        more: Vec<String>,

        /// Explain with this file's matrix instead of the shipped one; `-` is stdin.
        #[arg(long, value_name = "FILE", conflicts_with = "running")]
        matrix: Option<PathBuf>,

        /// Explain with the matrix that the controllers use.
        #[arg(long)]
        running: bool,
    },
    /// Make the controllers use a matrix; shows which cells are decided otherwise than before.
    ///
    /// It is checked here first and again by the controllers. It takes effect with the next verdict; an incident that is
    /// open goes on with the row that it began with.
    #[command(after_help = APPLY)]
    Apply {
        /// The file; `-` is stdin.
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Only show what would change.
        #[arg(long)]
        dry_run: bool,

        /// Who.
        #[command(flatten)]
        person: Person,
    },
}

/// Which matrix to show.
#[derive(Clone, Debug, clap::Args)]
pub struct Source {
    /// A file instead of the shipped one; `-` is stdin.
    #[arg(value_name = "FILE", conflicts_with = "running")]
    pub file: Option<PathBuf>,

    /// The one that the controllers use.
    #[arg(long)]
    pub running: bool,
}

/// Name of the shipped matrix in messages.
const SHIPPED: &str = "the shipped matrix";

/// A text, and what to call it.
struct Text {
    name: String,
    text: String,
}

pub(crate) async fn run(what: What, shell: &Shell, terminal: &mut Terminal) -> Outcome {
    let look = terminal.look;
    match what {
        What::Check { files, deny_warnings } => check(&files, deny_warnings, shell.json, look),
        What::Show { source, table } => {
            match text(source.file.as_deref(), source.running, shell).await {
                Ok(text) => show(&text, table, shell.json, look),
                Err(outcome) => outcome,
            }
        }
        What::Explain { cell, more, matrix, running } => {
            match text(matrix.as_deref(), running, shell).await {
                Ok(text) => {
                    let words = std::iter::once(cell).chain(more).collect::<Vec<_>>().join(" ");
                    explain(&text, &words, shell.json, look)
                }
                Err(outcome) => outcome,
            }
        }
        What::Apply { file, dry_run, person } => {
            let person = match who(&person, terminal) {
                Ok(person) => person,
                Err(_) if dry_run => String::new(),
                Err(outcome) => return outcome,
            };
            apply(&file, dry_run, person, shell, look).await
        }
    }
}

async fn text(file: Option<&Path>, running: bool, shell: &Shell) -> Result<Text, Outcome> {
    if running {
        let matrix = shell.picture().await?.state.matrix;
        return Ok(Text { name: "the running matrix".to_owned(), text: matrix.text });
    }
    match file {
        Some(file) => read(file),
        None => Ok(Text { name: SHIPPED.to_owned(), text: action_matrix::DEFAULT.to_owned() }),
    }
}

fn read(file: &Path) -> Result<Text, Outcome> {
    let name = if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() };
    // One more than is allowed, so that the matrix itself is told to be too large.
    let most = action_matrix::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let done = if file == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes))
    };
    let wrong = |why: &str| Outcome::failed(Exit::Usage, format!("{name}: {why}"));
    done.map_err(|error| wrong(&error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        wrong(&format!("line {line} is not UTF-8 text; is it a matrix?"))
    })?;
    Ok(Text { name, text })
}

fn check(files: &[PathBuf], deny_warnings: bool, as_json: bool, look: Look) -> Outcome {
    let (mut out, mut list, mut exit) = (String::new(), Vec::new(), Exit::Fine);
    for file in files {
        let text = match read(file) {
            Ok(text) => text,
            Err(outcome) => return outcome,
        };
        let parsed = Matrix::parse(&text.name, &text.text);
        match &parsed {
            Ok(loaded) if loaded.warnings.is_empty() || !deny_warnings => {}
            Ok(_) | Err(_) => exit = Exit::Failed,
        }
        match parsed {
            Ok(loaded) => {
                list.push(as_value(&text.name, true, loaded.warnings.iter()));
                out.push_str(&sound(&text.name, &loaded, look));
            }
            Err(problems) => {
                list.push(as_value(&text.name, false, problems.iter()));
                out.push_str(&problems.render(look.colour));
            }
        }
    }
    Outcome::fine(if as_json { text_of(&list) } else { out }).exit(exit)
}

fn parse(text: &Text, exit: Exit, look: Look) -> Result<Loaded, Outcome> {
    Matrix::parse(&text.name, &text.text).map_err(|problems| not_sound(&problems, exit, look))
}

fn not_sound(problems: &Problems, exit: Exit, look: Look) -> Outcome {
    Outcome { out: String::new(), err: problems.render(look.colour), exit }
}

fn show(text: &Text, table: bool, as_json: bool, look: Look) -> Outcome {
    if !table && !as_json {
        return Outcome::fine(text.text.clone());
    }
    match parse(text, Exit::Failed, look) {
        Ok(loaded) if as_json => Outcome::fine(text_of(&rows(&loaded.matrix))),
        Ok(loaded) => Outcome::fine(row_table(&loaded.matrix, look)),
        Err(outcome) => outcome,
    }
}

fn explain(text: &Text, words: &str, as_json: bool, look: Look) -> Outcome {
    let matrix = match parse(text, Exit::Usage, look) {
        Ok(loaded) => loaded.matrix,
        Err(outcome) => return outcome,
    };
    let cell = match matrix.parse_cell(words) {
        Ok(cell) => cell,
        Err(error) => return Outcome::failed(Exit::Usage, error.to_string()),
    };
    if !as_json {
        return Outcome::fine(format!("{} says for {}", text.name, matrix.explain(&cell)));
    }
    let decision = matrix.decide(&cell);
    Outcome::fine(text_of(&json!({
        "cell": matrix.compact(&cell), "row": decision.row.name(), "number": decision.index + 1,
        "actions": decision.actions(), "settle_s": decision.row.settle().as_secs_f64(),
        "reason": decision.row.reason(),
    })))
}

async fn apply(file: &Path, dry_run: bool, person: String, shell: &Shell, look: Look) -> Outcome {
    let text = match read(file) {
        Ok(text) => text,
        Err(outcome) => return outcome,
    };
    let loaded = match parse(&text, Exit::Failed, look) {
        Ok(loaded) => loaded,
        Err(outcome) => return outcome,
    };
    let picture = match shell.picture().await {
        Ok(picture) => picture,
        Err(outcome) => return outcome,
    };
    let mut said = sound(&text.name, &loaded, look);
    match Matrix::parse("the running matrix", &picture.state.matrix.text) {
        Ok(running) => said += &change(&running.matrix, &loaded.matrix, look),
        Err(_) => {
            said +=
                "The running matrix cannot be read by this hactl, so what changes is not known.\n"
        }
    }
    if dry_run {
        return Outcome::fine(said + "Nothing was sent (--dry-run).\n");
    }
    let outcome = shell.order(&Request::Matrix { text: text.text, file: text.name, person }).await;
    if shell.json { outcome } else { Outcome { out: said + &outcome.out, ..outcome } }
}
