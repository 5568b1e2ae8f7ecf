//! Signed datagrams of the lease protocol. The gossip key, which every node holds, must not be enough to forge an ack
//! or a vouch: each node and each controller signs with a key of its own.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer as _, Verifier as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lease::Message;
use crate::{ControllerId, NodeId, recall};

/// Who signed a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Signer {
    /// A node's sentinel.
    Node(NodeId),
    /// A controller.
    Controller(ControllerId),
}

/// A private key; never printed, wiped when dropped.
#[derive(Clone)]
pub struct KeyPair(ed25519_dalek::SigningKey);

/// A public key, 64 hexadecimal digits in files.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(#[serde(with = "halves")] [u8; 64]);

/// A key text that is not 64 hexadecimal digits. The program does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must be 64 hexadecimal digits; make one with `hactl keys new`")]
pub struct KeyError;

impl KeyPair {
    /// The key that this seed stands for.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Parses the text of a key file.
    ///
    /// # Errors
    /// [`KeyError`]; the program does not start.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        hex(text.trim()).map(Self::from_seed).ok_or(KeyError)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes that the caller made unmistakable by a domain prefix.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(***)")
    }
}

impl PublicKey {
    /// Parses 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError`]; the program does not start.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = hex(text.trim()).ok_or(KeyError)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError)?;
        Ok(Self(bytes))
    }

    /// Whether the signature is this key's.
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        recall::verified(&self.0, bytes, &signature.0, || {
            self.unpacked().is_some_and(|key| is_of(&key, bytes, signature))
        })
    }

    /// The point that it stands for: a tenth of the work of a verification. `None`: it is no key.
    fn unpacked(&self) -> Option<ed25519_dalek::VerifyingKey> {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).ok()
    }
}

fn is_of(key: &ed25519_dalek::VerifyingKey, bytes: &[u8], signature: &Signature) -> bool {
    key.verify(bytes, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u8,
    signer: Signer,
    body: Vec<u8>,
    signature: Signature,
}

/// Raised, with the domain, by every change of a message: what was signed for one must not be read as another.
const VERSION: u8 = 2;
const DOMAIN: &[u8] = b"holdfast lease v2\0";
/// Longest datagram that is looked at.
pub const LONGEST: usize = 1200;

/// A message as the bytes of one datagram, at most [`LONGEST`] (else `None`: the caller asked for too much log).
pub fn seal(cluster: Uuid, signer: Signer, key: &KeyPair, message: &Message) -> Option<Vec<u8>> {
    let body = postcard::to_stdvec(message).ok()?;
    let signature = key.sign(&signed_bytes(cluster, signer, &body));
    let envelope = Envelope { version: VERSION, signer, body, signature };
    postcard::to_stdvec(&envelope).ok().filter(|bytes| bytes.len() <= LONGEST)
}

/// Opens a datagram: `None` unless it is whole, of this cluster, and signed by the key that `keys` knows for its signer.
pub fn open(
    cluster: Uuid,
    keys: &dyn Fn(Signer) -> Option<PublicKey>,
    bytes: &[u8],
) -> Option<(Signer, Message)> {
    let envelope = Envelope::read(bytes)?;
    let key = keys(envelope.signer)?;
    key.verifies(&envelope.signed(cluster), &envelope.signature).then_some(())?;
    envelope.message()
}

/// Opens datagrams, and remembers each signer's last one. What comes over three networks is one datagram three times:
/// one look at its signature is enough. Bounded by the number of keys, at [`LONGEST`] bytes each.
#[derive(Debug, Default)]
pub struct Opener {
    last: BTreeMap<Signer, Opened>,
}

#[derive(Debug)]
struct Opened {
    by: PublicKey,
    unpacked: ed25519_dalek::VerifyingKey,
    bytes: Vec<u8>,
}

impl Opener {
    /// As [`open`], for the same datagrams and no others.
    pub fn open(
        &mut self,
        cluster: Uuid,
        keys: &dyn Fn(Signer) -> Option<PublicKey>,
        bytes: &[u8],
    ) -> Option<(Signer, Message)> {
        let envelope = Envelope::read(bytes)?;
        let key = keys(envelope.signer)?;
        let last = self.last.get_mut(&envelope.signer).filter(|last| last.by == key);
        match last {
            Some(last) if last.bytes == bytes => {}
            Some(last) => {
                envelope.check(cluster, &last.unpacked)?;
                last.bytes.clear();
                last.bytes.extend_from_slice(bytes);
            }
            None => {
                let unpacked = key.unpacked()?;
                envelope.check(cluster, &unpacked)?;
                let opened = Opened { by: key, unpacked, bytes: bytes.to_vec() };
                self.last.insert(envelope.signer, opened);
            }
        }
        envelope.message()
    }
}

impl Envelope {
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = Some(bytes).filter(|bytes| bytes.len() <= LONGEST)?;
        postcard::from_bytes(bytes).ok().filter(|envelope: &Self| envelope.version == VERSION)
    }

    fn check(&self, cluster: Uuid, key: &ed25519_dalek::VerifyingKey) -> Option<()> {
        is_of(key, &self.signed(cluster), &self.signature).then_some(())
    }

    fn signed(&self, cluster: Uuid) -> Vec<u8> {
        signed_bytes(cluster, self.signer, &self.body)
    }

    fn message(&self) -> Option<(Signer, Message)> {
        postcard::from_bytes(&self.body).ok().map(|message| (self.signer, message))
    }
}

fn signed_bytes(cluster: Uuid, signer: Signer, body: &[u8]) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    bytes.extend(cluster.as_bytes());
    match signer {
        Signer::Node(node) => {
            bytes.push(0);
            bytes.extend(node.0.as_bytes());
        }
        Signer::Controller(id) => {
            bytes.push(1);
            bytes.extend(id.0.to_be_bytes());
        }
    }
    bytes.extend(body);
    bytes
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// serde knows arrays up to 32 elements.
mod halves {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 64], s: S) -> Result<S::Ok, S::Error> {
        let (left, right) = bytes.split_at(32);
        (left, right).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 64], D::Error> {
        let (left, right) = <(Vec<u8>, Vec<u8>)>::deserialize(d)?;
        [left, right]
            .concat()
            .try_into()
            .map_err(|_| serde::de::Error::custom("a signature has 64 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Uuid, Signer, KeyPair, Message, Vec<u8>) {
        let cluster = Uuid::from_u128(1);
        let node = NodeId(Uuid::from_u128(2));
        let key = KeyPair::from_seed([7; 32]);
        let message = Message::NoVouch { voter: node, seq: 5 };
        let bytes = seal(cluster, Signer::Node(node), &key, &message).expect("short");
        (cluster, Signer::Node(node), key, message, bytes)
    }

    #[test]
    fn a_datagram_opens_for_whom_it_was_meant() {
        let (cluster, signer, key, message, bytes) = sealed();
        assert_eq!(open(cluster, &|_| Some(key.public()), &bytes), Some((signer, message)));
    }

    #[test]
    fn another_cluster_or_key_does_not_open_it() {
        let (cluster, _, key, _, bytes) = sealed();
        assert!(open(Uuid::from_u128(9), &|_| Some(key.public()), &bytes).is_none());
        let other = KeyPair::from_seed([8; 32]).public();
        assert!(open(cluster, &|_| Some(other), &bytes).is_none());
        assert!(open(cluster, &|_| None, &bytes).is_none());
    }

    #[test]
    fn who_remembers_the_last_one_opens_no_other() {
        let (cluster, signer, key, message, bytes) = sealed();
        let (right, other) = (key.public(), KeyPair::from_seed([8; 32]).public());
        let mut opener = Opener::default();
        for _ in 0..2 {
            let opened = opener.open(cluster, &|_| Some(right), &bytes);
            assert_eq!(opened, Some((signer, message.clone())));
        }
        assert_eq!(opener.open(cluster, &|_| Some(other), &bytes), None, "the key was changed");
        assert_eq!(opener.open(cluster, &|_| None, &bytes), None, "the key was removed");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open(cluster, &|_| Some(right), &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn no_flipped_bit_opens() {
        let (cluster, _, key, _, bytes) = sealed();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(cluster, &|_| Some(key.public()), &flipped).is_none(), "bit {bit}");
        }
    }
}
