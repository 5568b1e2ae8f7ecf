//! The list of domains on this node. A list that could not be had is never taken for an empty one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use uuid::Uuid;

use crate::config::{Domains, Virsh};

/// libvirt may hang with a domain; the census then gets no answer, which blocks a release and alarms, and harms nobody.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// libvirt asks a QEMU to end, and kills one that has not heard after ten seconds; the kernel takes its time with a disk.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no list. The census gets no answer from this node.
#[derive(Debug, thiserror::Error)]
pub enum DomainsError {
    /// The directory could not be read. The census gets no answer.
    #[error("cannot list {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// virsh could not be run. The census gets no answer.
    #[error("cannot run {}: install libvirt-clients, or name it in [domains]", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// virsh did not end in time. The census gets no answer.
    #[error("{} did not end within {within:?}: libvirt hangs", path.display())]
    Late {
        /// The program.
        path: PathBuf,
        /// What it was given.
        within: Duration,
    },
    /// virsh failed. The census gets no answer.
    #[error("{} failed: {said}", path.display())]
    Failed {
        /// The program.
        path: PathBuf,
        /// Its first line of complaint.
        said: String,
    },
    /// A line is no UUID. The census gets no answer.
    #[error("{} answered a line that is no UUID", path.display())]
    Unreadable {
        /// The program.
        path: PathBuf,
    },
}

/// Lists the domains that have a process, running or paused: a paused one may be resumed and write.
pub(super) async fn list(domains: &Domains) -> Result<Vec<Uuid>, DomainsError> {
    match domains {
        Domains::Directory(path) => in_directory(path).await,
        Domains::Virsh(virsh) => by_virsh(virsh).await,
    }
}

/// The domains of a lab.
pub(super) async fn in_directory(path: &Path) -> Result<Vec<Uuid>, DomainsError> {
    let failed = |source| DomainsError::Directory { path: path.to_owned(), source };
    let mut entries = tokio::fs::read_dir(path).await.map_err(failed)?;
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        if let Some(Ok(id)) = entry.file_name().to_str().map(Uuid::try_parse) {
            found.push(id);
        }
    }
    found.sort_unstable();
    Ok(found)
}

async fn by_virsh(virsh: &Virsh) -> Result<Vec<Uuid>, DomainsError> {
    let text = output(virsh, &["--readonly", "list", "--uuid"], LONGEST).await?;
    let ids = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Uuid::try_parse);
    let path = || virsh.program.clone();
    ids.collect::<Result<_, _>>().map_err(|_| DomainsError::Unreadable { path: path() })
}

/// Ends a domain at once, as if its power were cut.
pub(super) async fn end(domains: &Domains, domain: Uuid) -> Result<(), DomainsError> {
    match domains {
        Domains::Directory(path) => {
            let failed = |source| DomainsError::Directory { path: path.clone(), source };
            tokio::fs::remove_file(path.join(domain.to_string())).await.map_err(failed)
        }
        Domains::Virsh(virsh) => {
            output(virsh, &["destroy", &domain.to_string()], ENDS_WITHIN).await.map(|_| ())
        }
    }
}

/// What virsh prints, if it ends well and in time.
pub(super) async fn output(
    virsh: &Virsh,
    words: &[&str],
    within: Duration,
) -> Result<String, DomainsError> {
    let path = &virsh.program;
    let mut command = Command::new(path);
    command.args(["--connect", &virsh.uri]).args(words);
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(within, command.output()).await {
        Ok(output) => {
            output.map_err(|source| DomainsError::Run { path: path.to_owned(), source })?
        }
        Err(_) => return Err(DomainsError::Late { path: path.clone(), within }),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("no word").to_owned();
        return Err(DomainsError::Failed { path: path.to_owned(), said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("holdfast-domains-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        dir
    }

    /// What stands for `virsh`.
    pub(in super::super) fn script(name: &str, body: &str) -> Domains {
        let path = scratch(name).join("virsh");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("made executable");
        // Another test may have forked while the file was open for writing: until that child runs its own program, this one
        // cannot run.
        let busy = |ran: std::io::Result<_>| {
            ran.is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy)
        };
        while busy(std::process::Command::new(&path).output()) {
            std::thread::yield_now();
        }
        Domains::Virsh(Virsh { program: path, ..Virsh::default() })
    }

    #[tokio::test]
    async fn files_named_by_a_uuid_are_domains_and_others_are_not() {
        let dir = scratch("directory");
        let id = Uuid::from_u128(5);
        std::fs::write(dir.join(id.to_string()), b"").expect("written");
        std::fs::write(dir.join("notes"), b"").expect("written");
        assert_eq!(list(&Domains::Directory(dir.clone())).await.expect("listed"), [id]);
        std::fs::remove_dir_all(&dir).expect("removed");
        let error = list(&Domains::Directory(dir)).await.expect_err("gone");
        assert!(matches!(error, DomainsError::Directory { .. }));
    }

    #[tokio::test]
    async fn a_domain_is_ended_by_its_uuid() {
        let id = Uuid::from_u128(5);
        let dir = scratch("ended");
        std::fs::write(dir.join(id.to_string()), b"").expect("written");
        end(&Domains::Directory(dir.clone()), id).await.expect("ended");
        end(&Domains::Directory(dir), id).await.expect_err("it is gone");
        let virsh =
            script("destroy", &format!("[ \"$*\" = \"--connect qemu:///system destroy {id}\" ]"));
        end(&virsh, id).await.expect("ended");
        end(&virsh, Uuid::from_u128(6)).await.expect_err("virsh fails");
    }

    #[tokio::test]
    async fn what_virsh_says_is_taken_whole_or_not_at_all() {
        let id = Uuid::from_u128(5);
        let good = script(
            "good",
            &format!(
                "[ \"$*\" = \"--connect qemu:///system --readonly list --uuid\" ] && echo {id} && echo"
            ),
        );
        assert_eq!(list(&good).await.expect("listed"), [id]);
        let none = script("none", "echo");
        assert_eq!(list(&none).await.expect("listed"), Vec::<Uuid>::new());
        let half = script("half", &format!("echo {id}; echo rubbish"));
        assert!(matches!(list(&half).await, Err(DomainsError::Unreadable { .. })));
        let failed = script("failed", "echo error: no connection >&2; exit 1");
        assert!(matches!(list(&failed).await, Err(DomainsError::Failed { .. })));
        let absent =
            Domains::Virsh(Virsh { program: "/nonexistent/virsh".into(), ..Virsh::default() });
        assert!(matches!(list(&absent).await, Err(DomainsError::Run { .. })));
    }
}
