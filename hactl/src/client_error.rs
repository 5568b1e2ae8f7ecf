//! Why the controllers did not answer, as it is told to a person.

use std::path::PathBuf;

use crate::outcome::Exit;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody to ask; nothing was sent.
    #[error("no controller is named: give --controllers URL,URL or set HOLDFAST_CONTROLLERS")]
    NoControllers,
    /// Not a URL; nothing was sent.
    #[error(
        "`{url}` is not the URL of a controller: {why}; write for example https://controller-1:8700"
    )]
    Url {
        /// What was written.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be used; nothing was sent.
    #[error("{}: {why}", file.display())]
    File {
        /// Which one.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client cannot be made; nothing was sent.
    #[error("the HTTP client does not start: {0}")]
    Start(String),
    /// Nobody answered; nothing was changed.
    #[error(
        "no controller answers\n{}Is ha-controller running there, and are these its URLs (--controllers, HOLDFAST_CONTROLLERS)?",
        lines(tried)
    )]
    Unreachable {
        /// Each URL and what happened.
        tried: Vec<(String, String)>,
    },
    /// They answered, but none leads; nothing was changed.
    #[error(
        "no controller leads at the moment\n{}An election takes seconds: ask again. If it lasts, a majority of the controllers is down or cut off.",
        lines(tried)
    )]
    NoLeader {
        /// Each URL and what happened.
        tried: Vec<(String, String)>,
    },
    /// Nothing was changed.
    #[error("{url} does not accept the token: {}", match token {
        true => "is the file of --token-file (HOLDFAST_TOKEN_FILE) the one of this cluster?",
        false => "none was given; name its file with --token-file or HOLDFAST_TOKEN_FILE",
    })]
    NotAllowed {
        /// Who said so.
        url: String,
        /// Whether one was sent.
        token: bool,
    },
    /// Nothing was changed.
    #[error("refused: {why}")]
    Refused {
        /// The controller's sentence, with the remedy.
        why: String,
    },
    /// It may or may not have been carried out.
    #[error(
        "it is not known whether this was carried out: {why}\nLook before you order it again: {look}"
    )]
    Unknown {
        /// What happened.
        why: String,
        /// Where to look.
        look: String,
    },
    /// The controller speaks another language; an order may have been carried out.
    #[error(
        "{url} answered what this hactl does not understand ({why}); is it of the same version?"
    )]
    Language {
        /// Who.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl ClientError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoControllers | Self::Url { .. } | Self::File { .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::NoLeader { .. } => Exit::Unreachable,
            Self::Start(_)
            | Self::NotAllowed { .. }
            | Self::Refused { .. }
            | Self::Unknown { .. }
            | Self::Language { .. } => Exit::Failed,
        }
    }
}

fn lines(tried: &[(String, String)]) -> String {
    let width = tried.iter().map(|(url, _)| url.chars().count()).max().unwrap_or(0);
    tried.iter().map(|(url, why)| format!("  {url:width$}  {why}\n")).collect()
}
