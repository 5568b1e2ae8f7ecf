//! A program that speaks to a storage, in the words of fence agents: `off` blocks, and `status` prints the block list,
//! a line `blocked ADDRESS` each, and ends with 0.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::protocol::how_it_failed;
use super::run::{describe, run};
use super::{Action, AgentTarget, Refused};
use crate::bmc::storage::StorageFence;
use crate::bmc::{Failure, Identity, Secret};

/// The parameter in which the program is told the node's addresses.
const ADDRESSES: &str = "addresses";
/// Before each address of the list.
const BLOCKED: &str = "blocked ";

/// A storage behind a program.
#[derive(Clone, Debug)]
pub struct StorageHook {
    agent: AgentTarget,
    addresses: BTreeSet<IpAddr>,
}

impl StorageHook {
    /// A program that keeps these addresses away from its storage; it reads them as `addresses=A,B`.
    ///
    /// # Errors
    /// [`Refused`]: the protocol cannot carry it.
    pub fn new(
        program: PathBuf,
        mut parameters: BTreeMap<String, String>,
        password: Option<(String, Secret)>,
        addresses: BTreeSet<IpAddr>,
    ) -> Result<Self, Refused> {
        let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        if parameters.insert(ADDRESSES.to_owned(), list.join(",")).is_some() {
            return Err(Refused::Ours(ADDRESSES.to_owned()));
        }
        Ok(Self { agent: AgentTarget::new(program, parameters, password)?, addresses })
    }

    /// The program.
    pub fn program(&self) -> &std::path::Path {
        self.agent.program()
    }

    async fn run(&self, action: Action, deadline: Duration) -> Result<String, Failure> {
        let limit = Instant::now() + deadline;
        let metadata = describe(&self.agent, limit).await?;
        metadata.check(self.agent.named())?;
        let ended = run(&self.agent, action, Some(&metadata), limit).await?;
        match ended.code {
            Some(0) => Ok(ended.output),
            Some(_) | None => Err(how_it_failed(&self.agent, action, &ended).into()),
        }
    }
}

impl StorageFence for StorageHook {
    fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }

    fn identity(&self) -> Identity {
        self.agent.identity()
    }

    async fn block(&self, deadline: Duration) -> Result<(), Failure> {
        self.run(Action::Off, deadline).await.map(|_| ())
    }

    async fn blocked(&self, deadline: Duration) -> Result<BTreeSet<IpAddr>, Failure> {
        Ok(listed(&self.run(Action::Status, deadline).await?))
    }
}

/// What is no address, and what stands in no line of its own, is not on the list.
fn listed(output: &str) -> BTreeSet<IpAddr> {
    let lines = output.lines().filter_map(|line| line.trim().strip_prefix(BLOCKED));
    lines.filter_map(|address| address.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_its_lines_say_and_nothing_else() {
        let text = "blocked 10.1.0.11\nnot blocked 10.1.0.12\n blocked fd00::1 \nblocked all\n";
        let wanted = ["10.1.0.11", "fd00::1"].map(|address| address.parse().expect("an address"));
        assert_eq!(listed(text), BTreeSet::from(wanted));
    }

    #[test]
    fn other_addresses_are_another_identity() {
        let hook = |address: &str| {
            let addresses = BTreeSet::from([address.parse().expect("an address")]);
            StorageHook::new("/usr/sbin/keep-out".into(), BTreeMap::new(), None, addresses)
                .expect("fits")
                .identity()
        };
        assert_ne!(hook("10.1.0.11"), hook("10.1.0.12"));
    }
}
