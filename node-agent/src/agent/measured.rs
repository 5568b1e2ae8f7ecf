//! The domains of this node with what they use. Who runs must be known whole or not at all; what they use is told as far
//! as the source says it.

use std::collections::BTreeMap;
use std::path::Path;

use fencing::domains::Domain;
use uuid::Uuid;

use super::domains::{self, DomainsError, in_directory, output};
use crate::config::{Domains, Virsh};

/// Longest file of a domain of a lab that is read.
const LONGEST: u64 = 4096;

/// Lists the domains that have a process, with what they use.
pub(super) async fn measured(domains: &Domains) -> Result<Vec<Domain>, DomainsError> {
    match domains {
        Domains::Directory(path) => in_files(path).await,
        Domains::Virsh(virsh) => by_virsh(virsh).await,
    }
}

/// A lab's file may hold lines such as `cpu_ms = 1500`.
async fn in_files(folder: &Path) -> Result<Vec<Domain>, DomainsError> {
    let mut found = Vec::new();
    for id in in_directory(folder).await? {
        let path = folder.join(id.to_string());
        let short = tokio::fs::metadata(&path).await.is_ok_and(|file| file.len() <= LONGEST);
        let text = if short {
            tokio::fs::read_to_string(&path).await.unwrap_or_default()
        } else {
            String::new()
        };
        let said: BTreeMap<&str, &str> = fields(&text).collect();
        let number = |key| said.get(key).and_then(|value| value.parse::<u64>().ok());
        found.push(Domain {
            id,
            cpu_ms: number("cpu_ms"),
            memory_mib: number("memory_mib").and_then(small),
            disk_mib: number("disk_mib").and_then(small),
        });
    }
    Ok(found)
}

async fn by_virsh(virsh: &Virsh) -> Result<Vec<Domain>, DomainsError> {
    let listed =
        output(virsh, &["--readonly", "list", "--uuid", "--name"], domains::LONGEST).await?;
    let named: Option<Vec<(Uuid, &str)>> = listed
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (id, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            Some((Uuid::try_parse(id).ok()?, name.trim()))
        })
        .collect();
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return if listed.trim().is_empty() {
            Ok(Vec::new())
        } else {
            Err(DomainsError::Unreadable { path: virsh.program.clone() })
        };
    };
    // One whose QEMU hangs keeps all figures from one look; libvirt then waits for it, and at the next looks we do not.
    // One that is off is not asked about: libvirt would look at its disks.
    let asked = [
        "--readonly",
        "domstats",
        "--list-active",
        "--nowait",
        "--cpu-total",
        "--balloon",
        "--block",
    ];
    let said = output(virsh, &asked, domains::LONGEST).await.unwrap_or_default();
    let mut use_of = by_name(&said);
    Ok(named
        .into_iter()
        .map(|(id, name)| Domain { id, ..use_of.remove(name).unwrap_or(Domain::unmeasured(id)) })
        .collect())
}

/// What `virsh domstats` says of each domain.
fn by_name(text: &str) -> BTreeMap<&str, Domain> {
    let mut found = BTreeMap::new();
    for section in text.split("Domain: ").skip(1) {
        let (name, rest) = section.split_once('\n').unwrap_or((section, ""));
        let said: BTreeMap<&str, &str> = fields(rest).collect();
        let number = |key: &str| said.get(key).and_then(|value| value.parse::<u64>().ok());
        let blocks: Vec<u64> = (0..number("block.count").unwrap_or(0).min(64))
            .filter_map(|block| number(&format!("block.{block}.physical")))
            .collect();
        let domain = Domain {
            id: Uuid::nil(),
            // Nanoseconds.
            cpu_ms: number("cpu.time").map(|ns| ns / 1_000_000),
            // KiB that its process occupies.
            memory_mib: number("balloon.rss").map(|kib| kib / 1024).and_then(small),
            // Bytes; an empty drive has none. `allocation` of a domain that runs is how far it has written since it began.
            disk_mib: (!blocks.is_empty())
                .then(|| blocks.iter().fold(0, |sum: u64, block| sum.saturating_add(*block)) >> 20)
                .and_then(small),
        };
        found.insert(name.trim().trim_matches('\''), domain);
    }
    found
}

/// `KEY=VALUE` lines.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let fields = text.lines().filter_map(|line| line.split_once('='));
    fields.map(|(key, value)| (key.trim(), value.trim()))
}

fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::domains::tests::script;
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("holdfast-measured-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        dir
    }

    fn virsh(name: &str, list: &str, stats: &str) -> Domains {
        let body = format!("case \"$4\" in\nlist) {list};;\ndomstats) {stats};;\nesac");
        script(&format!("measured-{name}"), &body)
    }

    #[tokio::test]
    async fn a_labs_domain_says_what_it_likes() {
        let dir = scratch("directory");
        let (known, bare) = (Uuid::from_u128(1), Uuid::from_u128(2));
        std::fs::write(dir.join(known.to_string()), "cpu_ms = 1500\nmemory_mib=512\nx\n")
            .expect("written");
        std::fs::write(dir.join(bare.to_string()), [0xff, 0xfe]).expect("written");
        let expected = [
            Domain { id: known, cpu_ms: Some(1500), memory_mib: Some(512), disk_mib: None },
            Domain::unmeasured(bare),
        ];
        assert_eq!(measured(&Domains::Directory(dir)).await.expect("listed"), expected);
    }

    #[tokio::test]
    async fn what_virsh_does_not_say_is_unknown_and_never_zero() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let list = format!("echo '{one} instance-1'; echo '{other}  instance-2  '; echo");
        let stats = "printf \"Domain: 'instance-1'\\n  cpu.time=2500000000\\n  balloon.rss=2048\\n\
                     \\n  block.count=2\\n  block.0.allocation=0\n  block.0.physical=1048576\\n\\nDomain: 'instance-2'\\n\"";
        let found = measured(&virsh("whole", &list, stats)).await.expect("listed");
        let expected = [
            Domain { id: one, cpu_ms: Some(2500), memory_mib: Some(2), disk_mib: Some(1) },
            Domain::unmeasured(other),
        ];
        assert_eq!(found, expected);
        let found = measured(&virsh("bare", &list, "exit 1")).await.expect("listed");
        assert_eq!(found, [Domain::unmeasured(one), Domain::unmeasured(other)]);
    }

    #[tokio::test]
    async fn who_runs_is_known_whole_or_not_at_all() {
        let id = Uuid::from_u128(1);
        let half = virsh("half", &format!("echo '{id} a'; echo rubbish"), "true");
        assert!(matches!(measured(&half).await, Err(DomainsError::Unreadable { .. })));
        let failed = virsh("failed", "echo no connection >&2; exit 1", "true");
        assert!(matches!(measured(&failed).await, Err(DomainsError::Failed { .. })));
        let none = measured(&virsh("none", "echo", "true")).await.expect("listed");
        assert_eq!(none, []);
    }
}
