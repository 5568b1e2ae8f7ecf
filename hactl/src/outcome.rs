//! How a command ended.

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or answered.
    Fine,
    /// Refused by a controller, or failed.
    Failed,
    /// The words on the command line, or a file that they name, are wrong.
    Usage,
    /// No controller answers as leader.
    Unreachable,
    /// Answered, and something needs a person; only where it is asked for.
    Attention,
}

impl Exit {
    /// Every code, for the documentation.
    pub const ALL: [Self; 5] =
        [Self::Fine, Self::Failed, Self::Usage, Self::Unreachable, Self::Attention];

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Attention => 4,
        }
    }

    /// What it means and what to do, one line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "fine: the question is answered, or the order is committed",
            Self::Failed => "refused or failed: the sentence on stderr has the remedy",
            Self::Usage => {
                "usage: a word, an option or a file named by one is wrong; nothing was sent"
            }
            Self::Unreachable => "no controller answers as leader: nothing was changed",
            Self::Attention => {
                "something needs attention: with `status --exit-code`, and from `check`"
            }
        }
    }
}

/// What a command leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For stdout.
    pub out: String,
    /// For stderr.
    pub err: String,
    /// The exit code.
    pub exit: Exit,
}

impl Outcome {
    /// An answer.
    #[must_use]
    pub fn fine(out: impl Into<String>) -> Self {
        Self { out: out.into(), err: String::new(), exit: Exit::Fine }
    }

    /// A failure, told on stderr.
    #[must_use]
    pub fn failed(exit: Exit, said: impl AsRef<str>) -> Self {
        let err = format!("hactl: {}\n", said.as_ref().trim_end());
        Self { out: String::new(), err, exit }
    }

    /// What clap says: help on stdout, mistakes on stderr.
    pub(crate) fn of_usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        if error.use_stderr() {
            Self { out: String::new(), err: text, exit: Exit::Usage }
        } else {
            Self::fine(text)
        }
    }

    /// The same with another exit code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}
