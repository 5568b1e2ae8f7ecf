//! E6: the storage keeps a node out. Every address from which the node speaks to the storage is put on its block list,
//! and the list is read back; only then does the node count as unable to write. That proves something of its VMs only
//! where all of them live on that storage and nowhere else, which is the operator's word in the inventory.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::{Ask, Failure, Identity, Power, Reply};

/// A storage that can refuse a node's writes.
pub trait StorageFence {
    /// Every address from which the node speaks to the storage, at least one.
    fn addresses(&self) -> &BTreeSet<IpAddr>;

    /// What stands for "this storage, these addresses"; it is enrolled and compared.
    fn identity(&self) -> Identity;

    /// Puts the addresses on the block list. What it returns is no fact about the list.
    ///
    /// # Errors
    /// [`Failure`]: nothing is known of the list.
    fn block(&self, deadline: Duration) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the block list.
    ///
    /// # Errors
    /// [`Failure`]: nothing is known of the list.
    fn blocked(
        &self,
        deadline: Duration,
    ) -> impl Future<Output = Result<BTreeSet<IpAddr>, Failure>> + Send;
}

/// Asks a storage as a device is asked: an off is the order to block, and a node reads off when every one of its
/// addresses is on the list. Nothing is blocked where `expect` is another identity.
pub async fn ask(
    storage: &impl StorageFence,
    ask: Ask,
    expect: Option<Identity>,
    deadline: Duration,
) -> Reply {
    let own = storage.identity();
    match ask {
        Ask::Off => {
            if let Some(expected) = expect.filter(|expected| *expected != own) {
                return Reply::Failed(Failure::WrongIdentity { expected, read: Some(own) });
            }
            match storage.block(deadline).await {
                Ok(()) => Reply::OffSent { identity: Some(own), refused: None },
                Err(failure) => Reply::Failed(failure),
            }
        }
        Ask::Read => match storage.blocked(deadline).await {
            Ok(list) => {
                let wanted = storage.addresses();
                let kept_out = !wanted.is_empty() && wanted.is_subset(&list);
                let power = if kept_out { Power::Off } else { Power::On };
                Reply::Read { power, identity: Some(own) }
            }
            Err(failure) => Reply::Failed(failure),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        addresses: BTreeSet<IpAddr>,
        list: Result<BTreeSet<IpAddr>, Failure>,
    }

    const ID: Identity = Identity([6; 16]);

    impl StorageFence for Fake {
        fn addresses(&self) -> &BTreeSet<IpAddr> {
            &self.addresses
        }

        fn identity(&self) -> Identity {
            ID
        }

        async fn block(&self, _: Duration) -> Result<(), Failure> {
            Ok(())
        }

        async fn blocked(&self, _: Duration) -> Result<BTreeSet<IpAddr>, Failure> {
            self.list.clone()
        }
    }

    fn set(last: &[u8]) -> BTreeSet<IpAddr> {
        last.iter().map(|last| IpAddr::from([10, 1, 0, *last])).collect()
    }

    async fn reads(addresses: &[u8], list: Result<BTreeSet<IpAddr>, Failure>) -> Reply {
        let fake = Fake { addresses: set(addresses), list };
        ask(&fake, Ask::Read, Some(ID), Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn a_node_is_kept_out_when_every_one_of_its_addresses_is_on_the_list() {
        let read = |power| Reply::Read { power, identity: Some(ID) };
        assert_eq!(reads(&[1, 2], Ok(set(&[1, 2, 9]))).await, read(Power::Off));
        assert_eq!(reads(&[1, 2], Ok(set(&[1, 9]))).await, read(Power::On), "one is missing");
        assert_eq!(reads(&[1, 2], Ok(set(&[]))).await, read(Power::On));
        assert_eq!(reads(&[], Ok(set(&[1]))).await, read(Power::On), "no address, no proof");
        let failed = reads(&[1], Err(Failure::NoAnswer)).await;
        assert!(matches!(failed, Reply::Failed(Failure::NoAnswer)), "{failed}");
    }

    #[tokio::test]
    async fn nothing_is_blocked_where_another_storage_was_enrolled() {
        let fake = Fake { addresses: set(&[1]), list: Ok(set(&[1])) };
        let (other, deadline) = (Identity([7; 16]), Duration::from_secs(1));
        let reply = ask(&fake, Ask::Off, Some(other), deadline).await;
        assert!(matches!(reply, Reply::Failed(Failure::WrongIdentity { .. })), "{reply}");
        let reply = ask(&fake, Ask::Off, Some(ID), deadline).await;
        assert!(matches!(reply, Reply::OffSent { .. }), "{reply}");
    }
}
