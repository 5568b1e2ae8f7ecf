//! The witness: the lines that VMs wrote to the shared disk, in the order in which they came. It asks no program whether
//! a VM ran twice.

use std::collections::BTreeMap;

use uuid::Uuid;

/// One place and boot where a VM ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    /// The node.
    pub(super) node: String,
    /// Its boot.
    pub(super) boot: Uuid,
}

/// What the disk says.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Where each VM ran, in order, each place once per time that it was taken up.
    pub(super) runs: BTreeMap<Uuid, Vec<Run>>,
    /// Lines of each VM.
    pub(super) lines: BTreeMap<Uuid, u64>,
}

impl Seen {
    /// Reads the disk.
    pub(super) fn read(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let vm = words.next().and_then(|word| word.parse().ok());
            let node = words.next();
            let boot = words.next().and_then(|word| word.parse().ok());
            let (Some(vm), Some(node), Some(boot)) = (vm, node, boot) else { continue };
            *seen.lines.entry(vm).or_default() += 1;
            let runs = seen.runs.entry(vm).or_default();
            if !runs.last().is_some_and(|run| run.node == node && run.boot == boot) {
                runs.push(Run { node: node.to_owned(), boot });
            }
        }
        seen
    }

    /// VMs that wrote from one place again after they had written from another one: they ran in both at once.
    pub(super) fn twice(&self) -> Vec<(Uuid, String)> {
        let again = |runs: &Vec<Run>| {
            let found = runs
                .iter()
                .enumerate()
                .find(|(at, run)| runs.get(at + 1..).is_some_and(|later| later.contains(run)));
            found.map(|(_, run)| run.node.clone())
        };
        self.runs.iter().filter_map(|(vm, runs)| Some((*vm, again(runs)?))).collect()
    }

    /// Where a VM wrote last.
    pub(super) fn last(&self, vm: Uuid) -> Option<&Run> {
        self.runs.get(&vm)?.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: Uuid = Uuid::from_u128(1);

    fn disk(places: &[(&str, u128)]) -> Seen {
        let line =
            |(node, boot): &(&str, u128)| format!("{VM} {node} {} 1\n", Uuid::from_u128(*boot));
        Seen::read(&places.iter().map(line).collect::<String>())
    }

    #[test]
    fn a_vm_that_moved_ran_once_at_a_time() {
        let seen = disk(&[("node-1", 1), ("node-1", 1), ("node-2", 2), ("node-2", 2)]);
        assert!(seen.twice().is_empty());
        assert_eq!(seen.last(VM).map(|run| run.node.as_str()), Some("node-2"));
        assert_eq!(seen.lines.get(&VM), Some(&4));
    }

    #[test]
    fn lines_of_two_places_that_mix_mean_twice() {
        let seen = disk(&[("node-1", 1), ("node-2", 2), ("node-1", 1)]);
        assert_eq!(seen.twice(), [(VM, "node-1".to_owned())]);
    }

    #[test]
    fn another_boot_of_the_same_node_is_another_place() {
        let seen = disk(&[("node-1", 1), ("node-2", 2), ("node-1", 3)]);
        assert!(seen.twice().is_empty());
    }

    #[test]
    fn half_a_line_is_no_line() {
        assert!(Seen::read("x y z\n\nonly\n").runs.is_empty());
    }
}
