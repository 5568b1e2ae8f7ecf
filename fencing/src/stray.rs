//! The order to end one stray copy of a VM: a domain that runs on a node on which Nova does not have it, while it runs
//! where Nova has it. The agent obeys it once, and only while the census that it quotes is fresh.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::are_signed_by_two;
use crate::sign::{KeyPair, PublicKey, Signature};
use crate::{BootId, ControllerId, NodeId};

/// Marks such an order among the application payloads that gossip carries.
pub const CHANNEL: u8 = 4;

/// What the controllers sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Cluster that it is valid in.
    pub cluster: Uuid,
    /// The node that is to end it.
    pub node: NodeId,
    /// Its boot; any other boot ignores it.
    pub boot: BootId,
    /// The domain.
    pub domain: Uuid,
    /// Index of the committed entry that permits it.
    pub index: u64,
    /// Nonce of the census to which this boot answered that it runs the domain: the order ends with it.
    pub census: u64,
}

/// An order with two signatures: the leader's and a second controller's, which holds the committed entry too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destroy {
    /// What is ordered.
    pub order: Order,
    /// At least two, by different controllers.
    pub signatures: Vec<(ControllerId, Signature)>,
}

/// Separates these signatures from all others made with the same keys.
const DOMAIN: &[u8] = b"holdfast stray copy v1\0";

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

impl Destroy {
    /// Whether two different controllers of `keys` have signed it.
    pub fn is_signed_by_two(&self, keys: &[(ControllerId, PublicKey)]) -> bool {
        are_signed_by_two(&self.order.bytes(), &self.signatures, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            cluster: Uuid::from_u128(1),
            node: NodeId(Uuid::from_u128(2)),
            boot: BootId(Uuid::from_u128(3)),
            domain: Uuid::from_u128(4),
            index: 5,
            census: 6,
        }
    }

    fn keys() -> (KeyPair, KeyPair, Vec<(ControllerId, PublicKey)>) {
        let (a, b) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
        let public = vec![(ControllerId(1), a.public()), (ControllerId(2), b.public())];
        (a, b, public)
    }

    #[test]
    fn two_controllers_make_an_order_and_one_twice_makes_none() {
        let (a, b, public) = keys();
        let order = order();
        let (one, two) = (order.sign(&a), order.sign(&b));
        let both = vec![(ControllerId(1), one), (ControllerId(2), two)];
        assert!(Destroy { order: order.clone(), signatures: both }.is_signed_by_two(&public));
        let twice = vec![(ControllerId(1), order.sign(&a)), (ControllerId(1), order.sign(&a))];
        assert!(!Destroy { order, signatures: twice }.is_signed_by_two(&public));
    }

    #[test]
    fn whatever_is_changed_is_not_signed() {
        let (a, b, public) = keys();
        let signed = order();
        let signatures =
            vec![(ControllerId(1), signed.sign(&a)), (ControllerId(2), signed.sign(&b))];
        for other in [
            Order { boot: BootId(Uuid::from_u128(9)), ..signed.clone() },
            Order { domain: Uuid::from_u128(9), ..signed.clone() },
            Order { census: 9, ..signed.clone() },
            Order { index: 9, ..signed.clone() },
        ] {
            let destroy = Destroy { order: other, signatures: signatures.clone() };
            assert!(!destroy.is_signed_by_two(&public));
        }
    }
}
