//! Last words: what the sentinel has to say before its node is reset is written to a disk that outlives the reset. The
//! sentinel itself touches no disk, and waits for nobody.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fencing::BootId;
use tokio::net::UnixDatagram;

use crate::config::Config;

/// Longest sentence that is taken.
const LONGEST: usize = 1024;
/// Above it the file begins anew, and the old one is kept beside it.
const MOST: u64 = 64 * 1024;

/// Binds the socket and writes, in a task of its own, until the agent ends.
///
/// # Errors
/// The socket could not be made: the agent goes on without.
pub(super) fn listen(config: &Config, boot: BootId) -> io::Result<()> {
    let path = config.agent_socket();
    fs::create_dir_all(&config.run_dir)?;
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let file = config.last_words_file();
    tokio::spawn(async move { write_down(&socket, &file, boot).await });
    Ok(())
}

async fn write_down(socket: &UnixDatagram, file: &Path, boot: BootId) {
    let mut buffer = [0; LONGEST];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let said = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        // One line each, whoever wrote it.
        let sentence: String = said.chars().filter(|letter| !letter.is_control()).collect();
        tracing::warn!("the sentinel says: {sentence}");
        let file = file.to_owned();
        // The disk may hang; gossip must not.
        let kept = tokio::task::spawn_blocking(move || keep(&file, boot, &sentence)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "the sentinel's words are not kept");
        }
    }
}

/// Appends a line and waits for the disk.
fn keep(path: &Path, boot: BootId, sentence: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() > MOST) {
        fs::rename(path, path.with_added_extension("old"))?;
    }
    // For people alone: no decision rests on it.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{now} boot={} {sentence}\n", boot.0).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn words_are_appended_and_a_file_that_is_full_begins_anew() {
        let dir = std::env::temp_dir().join(format!("holdfast-words-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a directory");
        let (file, boot) = (dir.join("last-words"), BootId(Uuid::from_u128(7)));
        keep(&file, boot, "first").expect("kept");
        keep(&file, boot, "second").expect("kept");
        let text = fs::read_to_string(&file).expect("there");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with(" second\n") && text.contains(&boot.0.to_string()), "{text}");
        fs::write(&file, vec![b'x'; 65 * 1024]).expect("written");
        keep(&file, boot, "third").expect("kept");
        assert_eq!(fs::read_to_string(&file).expect("there").lines().count(), 1);
        assert!(dir.join("last-words.old").exists());
        let _ = fs::remove_dir_all(&dir);
    }
}
