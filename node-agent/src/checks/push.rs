//! `ha-node-agent push NAME STATE MESSAGE`: whoever runs on this node says how a check is.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use fencing::checks::{State, line};

use super::probe::Probe;
use crate::config::Config;

/// Why nothing was pushed. The check is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// There is no such state. Nothing was pushed.
    #[error("{word:?} is no state: write ok, warning, critical or unknown")]
    State {
        /// What was written.
        word: String,
    },
    /// There is no such check. Nothing was pushed.
    #[error("no [[check]] of kind \"ttl\" is called {name:?}; there are: {known}")]
    Name {
        /// What was written.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No agent took it. The check will be critical when its time is over.
    #[error("no agent listens on {}: is ha-node-agent running, and may you write there?", path.display())]
    Send {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Pushes it to the agent of this configuration.
///
/// # Errors
/// [`PushError`]; nothing was pushed.
pub fn push(config: &Config, name: &str, word: &str, message: &str) -> Result<(), PushError> {
    if State::named(word).is_none() {
        return Err(PushError::State { word: line(word) });
    }
    let pushed = config.checks.iter().filter(|check| check.probe == Probe::Pushed);
    let known: Vec<&str> = pushed.map(|check| check.plan.name.as_str()).collect();
    if !known.contains(&name) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(PushError::Name { name: line(name), known });
    }
    let path = config.checks_socket();
    let failed = |source| PushError::Send { path: path.clone(), source };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    // An agent that hangs must not hang whoever tells it something.
    socket.set_nonblocking(true).map_err(failed)?;
    let text = format!("{name} {word} {}", line(message));
    socket.send_to(text.as_bytes(), &path).map_err(failed)?;
    Ok(())
}
