//! The gossiped fence event: an order to one boot of one node to reset itself at once. Safety does not rest on it.

use serde::{Deserialize, Serialize};

use crate::sign::{KeyPair, PublicKey, Signature};
use crate::{BootId, ControllerId, Epoch, IncidentId, NodeId};

/// What the controllers sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Cluster that it is valid in.
    pub cluster: uuid::Uuid,
    /// The incident.
    pub incident: IncidentId,
    /// The node that is to reset itself.
    pub node: NodeId,
    /// The boot that is to end; any other boot ignores it.
    pub boot: BootId,
    /// Epoch of the committed FenceIntent; must be above the highest that the node has seen.
    pub epoch: Epoch,
    /// One of the node's own challenges, younger than its lease time on its own clock.
    pub challenge: u64,
}

/// An order with two signatures: the leader's and a second controller's, which holds the committed entry too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceEvent {
    /// What is ordered.
    pub order: Order,
    /// At least two, by different controllers.
    pub signatures: Vec<(ControllerId, Signature)>,
}

/// Separates these signatures from all others made with the same keys.
const DOMAIN: &[u8] = b"holdfast fence event v1\0";

impl Order {
    /// Signs the order.
    pub fn sign(&self, key: &KeyPair) -> Signature {
        key.sign(&self.bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        // Serialising a plain struct of integers cannot fail; an empty body would only make the signature useless.
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }
}

impl FenceEvent {
    /// Whether two different controllers of `keys` have signed it.
    pub fn is_signed_by_two(&self, keys: &[(ControllerId, PublicKey)]) -> bool {
        are_signed_by_two(&self.order.bytes(), &self.signatures, keys)
    }
}

/// Whether two different controllers of `keys` have signed these bytes.
pub(crate) fn are_signed_by_two(
    bytes: &[u8],
    signatures: &[(ControllerId, Signature)],
    keys: &[(ControllerId, PublicKey)],
) -> bool {
    let verified = signatures.iter().take(MOST_SIGNATURES).filter(|(id, signature)| {
        keys.iter().any(|(known, key)| known == id && key.verifies(bytes, signature))
    });
    let mut signers: Vec<ControllerId> = verified.map(|(id, _)| *id).collect();
    signers.sort_unstable();
    signers.dedup();
    signers.len() >= 2
}

/// More signatures than controllers can exist are not looked at.
const MOST_SIGNATURES: usize = 8;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn order() -> Order {
        Order {
            cluster: Uuid::from_u128(1),
            incident: IncidentId(7),
            node: NodeId(Uuid::from_u128(2)),
            boot: BootId(Uuid::from_u128(3)),
            epoch: Epoch { term: 1, index: 5 },
            challenge: 99,
        }
    }

    fn keys() -> (KeyPair, KeyPair, Vec<(ControllerId, PublicKey)>) {
        let (a, b) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
        let public = vec![(ControllerId(1), a.public()), (ControllerId(2), b.public())];
        (a, b, public)
    }

    #[test]
    fn two_controllers_make_an_event() {
        let (a, b, public) = keys();
        let order = order();
        let signatures = vec![(ControllerId(1), order.sign(&a)), (ControllerId(2), order.sign(&b))];
        assert!(FenceEvent { order, signatures }.is_signed_by_two(&public));
    }

    #[test]
    fn one_controller_twice_makes_none() {
        let (a, _, public) = keys();
        let order = order();
        let signatures = vec![(ControllerId(1), order.sign(&a)), (ControllerId(1), order.sign(&a))];
        assert!(!FenceEvent { order, signatures }.is_signed_by_two(&public));
    }

    #[test]
    fn a_changed_order_is_not_signed() {
        let (a, b, public) = keys();
        let order = order();
        let signatures = vec![(ControllerId(1), order.sign(&a)), (ControllerId(2), order.sign(&b))];
        let other = Order { boot: BootId(Uuid::from_u128(4)), ..order };
        assert!(!FenceEvent { order: other, signatures }.is_signed_by_two(&public));
    }
}
