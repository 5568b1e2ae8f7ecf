//! Where pushes come in: a local socket that its owner alone can write to. A datagram is `NAME STATE MESSAGE`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fencing::checks::State;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use super::plan::Outcome;
use crate::agent::Event;

/// Longest datagram that is taken.
const LONGEST: usize = 1024;
/// Between two datagrams, so that who pushes without an end does not push gossip out of its queue.
const PAUSE: Duration = Duration::from_millis(5);

/// Binds the socket and takes pushes of these checks, by name and place, in a task of its own.
///
/// # Errors
/// The socket could not be made: nothing can be pushed.
pub(super) fn listen(
    path: &Path,
    pushed: Vec<(String, u8)>,
    events: mpsc::Sender<Event>,
) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        let mut buffer = [0; LONGEST];
        while let Ok(length) = socket.recv(&mut buffer).await {
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            match parse(&text, &pushed) {
                Some((check, outcome)) => {
                    // A full queue is loss; the next push comes in its time.
                    let _ = events.try_send(Event::Pushed { check, outcome });
                }
                None => tracing::debug!(length, "a push that nobody understands"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    Ok(())
}

fn parse(text: &str, pushed: &[(String, u8)]) -> Option<(u8, Outcome)> {
    let mut words = text.trim().splitn(3, ' ');
    let (name, state) = (words.next()?, State::named(words.next()?)?);
    let (_, check) = pushed.iter().find(|(known, _)| known == name)?;
    Some((*check, Outcome::new(state, 0, words.next().unwrap_or_default())))
}
