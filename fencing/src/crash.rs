//! E4: the beacon of a crash kernel. A kernel that crashed and was replaced by its crash kernel runs no guest any more;
//! the crash kernel says so, signed with the node's own key and naming the boot that crashed, once a second, to all
//! controllers.
//!
//! A replay is harmless: a beacon of a boot can only have been made after that boot had crashed, and it says nothing
//! about another one. Packets of `fence_kdump` carry no authentication and are never evidence.

use crate::evidence::Evidence;
use crate::lease::Message;
use crate::sign::Signer;
use crate::{BootId, NodeId};

/// What a message proves of this boot of this node: E4 where it is the beacon of its crash kernel, signed by the node
/// itself. `signer` is whose key opened it.
pub fn evidence(signer: Signer, message: &Message, node: NodeId, boot: BootId) -> Option<Evidence> {
    let Message::Crashed { node: named, boot: crashed } = message else { return None };
    let is_it = signer == Signer::Node(node) && *named == node && *crashed == boot;
    is_it.then_some(Evidence::CrashKernel { boot })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::ControllerId;
    use crate::lease::{Profile, WatchdogState};
    use crate::sign::{KeyPair, open, seal};

    const CLUSTER: Uuid = Uuid::from_u128(9);
    const NODE: NodeId = NodeId(Uuid::from_u128(1));
    const BOOT: BootId = BootId(Uuid::from_u128(10));

    fn beacon() -> Message {
        Message::Crashed { node: NODE, boot: BOOT }
    }

    #[test]
    fn the_crash_kernel_of_that_boot_proves_that_it_ended() {
        let evidence = evidence(Signer::Node(NODE), &beacon(), NODE, BOOT).expect("E4");
        assert_eq!(evidence, Evidence::CrashKernel { boot: BOOT });
        assert_eq!(evidence.class(), "E4");
    }

    #[test]
    fn another_boot_another_node_and_another_signer_prove_nothing() {
        let of = |signer, node, boot| evidence(signer, &beacon(), node, boot);
        let other = NodeId(Uuid::from_u128(2));
        assert_eq!(of(Signer::Node(NODE), NODE, BootId(Uuid::from_u128(11))), None, "a replay");
        assert_eq!(of(Signer::Node(NODE), other, BOOT), None);
        assert_eq!(of(Signer::Node(other), NODE, BOOT), None);
        assert_eq!(of(Signer::Controller(ControllerId(1)), NODE, BOOT), None);
    }

    #[test]
    fn a_renewal_is_no_beacon() {
        let renew = Message::Renew {
            boot: BOOT,
            seq: 1,
            n: 0,
            challenge: 1,
            watchdog: WatchdogState::Absent,
            times: Profile::Fast.times(),
            uptime: Duration::ZERO,
            piece: 0,
        };
        assert_eq!(evidence(Signer::Node(NODE), &renew, NODE, BOOT), None);
    }

    #[test]
    fn no_flipped_bit_leaves_a_beacon() {
        let key = KeyPair::from_seed([3; 32]);
        let public = key.public();
        let bytes = seal(CLUSTER, Signer::Node(NODE), &key, &beacon()).expect("fits");
        let read = |bytes: &[u8]| open(CLUSTER, &|_| Some(public), bytes);
        assert!(
            read(&bytes).is_some_and(|(signer, message)| {
                evidence(signer, &message, NODE, BOOT).is_some()
            })
        );
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let proves = read(&forged).and_then(|(signer, m)| evidence(signer, &m, NODE, BOOT));
            assert_eq!(proves, None, "bit {bit}");
        }
    }
}
