//! What a command knows of the place where it runs.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::table::Look;

/// The look of output, who is asking, and a way to ask that person back.
pub struct Terminal {
    /// Colour and width of stdout.
    pub look: Look,
    /// Who gives orders if `--person` does not say: the user behind sudo, else the user.
    pub person: Option<String>,
    /// Shows a question and returns the answer; `None` where nobody can answer, as in a script.
    pub ask: Option<Ask>,
}

/// Asks the person at the terminal.
#[allow(clippy::type_complexity)] // It is named here, and only here.
pub struct Ask(Box<dyn FnMut(&str) -> Option<String>>);

impl Ask {
    /// Asks by this function, which shows the question and returns the answer.
    pub fn new(ask: impl FnMut(&str) -> Option<String> + 'static) -> Self {
        Self(Box::new(ask))
    }

    /// The answer without the blanks around it; `None` if there is none.
    pub(crate) fn ask(&mut self, question: &str) -> Option<String> {
        (self.0)(question)
    }
}

impl Terminal {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let stdout = std::io::stdout().is_terminal();
        let colour = stdout && variable("NO_COLOR").is_none();
        let width = comfy_table::Table::new().width().filter(|_| stdout);
        let person = variable("SUDO_USER").or_else(|| variable("USER"));
        let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let ask = asks.then(|| Ask::new(ask_on_stderr));
        Self { look: Look { colour, width }, person, ask }
    }

    /// One without colour, limits, or anybody to ask.
    #[must_use]
    pub fn plain() -> Self {
        Self { look: Look { colour: false, width: None }, person: None, ask: None }
    }
}

fn ask_on_stderr(question: &str) -> Option<String> {
    let mut stderr = std::io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).ok()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}
