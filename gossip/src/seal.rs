//! The envelope of every datagram: XChaCha20-Poly1305 under the cluster key.
//!
//! ```text
//! 1 version | 1 key id | 24 nonce | sealed packet | 16 tag
//! ```
//!
//! The associated data binds cluster id, network name and port: a datagram replayed to another
//! cluster, network or port does not open. Nonces are drawn at random, 192 bits each, so that
//! neither a reboot nor a cloned machine repeats one. [draft-irtf-cfrg-xchacha 2.3]
//!
//! Absent: protection against replay on the same network and port. What travels there is hints, or
//! carries its own nonce, epoch or ask.

mod keys;

use std::sync::Arc;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use uuid::Uuid;

pub use keys::{KeyError, Keyring, MAX_KEYS, Secret};

/// Version of the envelope.
const VERSION: u8 = 1;

/// Bytes of a nonce.
pub const NONCE: usize = 24;

const TAG: usize = 16;
/// Bytes before the packet.
pub(crate) const HEAD: usize = 2 + NONCE;

/// Bytes that sealing adds to a packet.
pub const OVERHEAD: usize = HEAD + TAG;

/// Why a datagram did not open. It is dropped, and counted by this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unopened {
    /// Shorter than an empty envelope. Noise, or not ours.
    #[error("datagram too short")]
    Short,
    /// Another version. An upgrade that skipped a release, or noise.
    #[error("unknown envelope version")]
    Version,
    /// No such key here. A rotation that did not reach somebody.
    #[error("unknown key id")]
    UnknownKey,
    /// Wrong key, cluster, network or port, or changed on the way.
    #[error("seal broken")]
    Broken,
}

/// Seals and opens for one port on one network of one cluster.
#[derive(Clone, Debug)]
pub struct Envelope {
    keyring: Arc<Keyring>,
    bound: Vec<u8>,
}

impl Envelope {
    /// `port` tells ports of one network apart, for example `gossip` and `ping`.
    #[must_use]
    pub fn new(keyring: Arc<Keyring>, cluster: Uuid, network: &str, port: &str) -> Self {
        let mut bound = b"holdfast envelope".to_vec();
        bound.push(VERSION);
        bound.extend_from_slice(cluster.as_bytes());
        for text in [network, port] {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            bound.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bound.extend_from_slice(text.as_bytes());
        }
        Self { keyring, bound }
    }

    /// Uses other keys from now on.
    pub fn install(&mut self, keyring: Arc<Keyring>) {
        self.keyring = keyring;
    }

    /// Seals `packet` with the primary key into `datagram`, which is cleared first. `nonce` must be
    /// fresh from the operating system.
    pub fn seal(&self, nonce: [u8; NONCE], packet: &[u8], datagram: &mut Vec<u8>) {
        let (id, secret) = self.keyring.primary();
        datagram.clear();
        datagram.reserve(packet.len() + OVERHEAD);
        datagram.extend_from_slice(&[VERSION, id]);
        datagram.extend_from_slice(&nonce);
        datagram.extend_from_slice(packet);
        let cipher = XChaCha20Poly1305::new(secret.bytes().into());
        let body = datagram.get_mut(HEAD..).unwrap_or_default();
        match cipher.encrypt_inout_detached(&XNonce::from(nonce), &self.bound, body.into()) {
            Ok(tag) => datagram.extend_from_slice(&tag),
            // Only a packet of 256 GiB gets here; nothing is better than something unsealed.
            Err(_) => datagram.clear(),
        }
    }

    /// Opens `datagram` in place and answers the packet inside. Nothing of it is parsed before the
    /// tag is right, but for version and key id.
    pub fn open<'a>(&self, datagram: &'a mut [u8]) -> Result<&'a [u8], Unopened> {
        let (head, rest) = datagram.split_at_mut_checked(HEAD).ok_or(Unopened::Short)?;
        let body = rest.len().checked_sub(TAG).ok_or(Unopened::Short)?;
        let [version, id, nonce @ ..] = head else { return Err(Unopened::Short) };
        if *version != VERSION {
            return Err(Unopened::Version);
        }
        let secret = self.keyring.find(*id).ok_or(Unopened::UnknownKey)?;
        let nonce = XNonce::try_from(&*nonce).map_err(|_| Unopened::Short)?;
        let (body, tag) = rest.split_at_mut(body);
        let tag = Tag::try_from(&*tag).map_err(|_| Unopened::Short)?;
        XChaCha20Poly1305::new(secret.bytes().into())
            .decrypt_inout_detached(&nonce, &self.bound, (&mut *body).into(), &tag)
            .map_err(|_| Unopened::Broken)?;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(text: &str) -> Arc<Keyring> {
        Arc::new(Keyring::parse(text).unwrap())
    }

    fn line(id: u8, digit: char) -> String {
        format!("{id} {}\n", format!("{digit}1").repeat(16) + &format!("2{digit}").repeat(16))
    }

    fn envelope(text: &str) -> Envelope {
        Envelope::new(ring(text), Uuid::from_u128(1), "storage", "gossip")
    }

    fn sealed(by: &Envelope, packet: &[u8]) -> Vec<u8> {
        let mut datagram = b"left over".to_vec();
        by.seal([7; NONCE], packet, &mut datagram);
        datagram
    }

    #[test]
    fn what_is_sealed_opens_and_is_not_readable() {
        let envelope = envelope(&line(3, 'a'));
        let mut datagram = sealed(&envelope, b"holdfast");
        assert_eq!(datagram.len(), 8 + OVERHEAD);
        assert!(!datagram.windows(8).any(|part| part == b"holdfast"));
        assert_eq!(envelope.open(&mut datagram), Ok(&b"holdfast"[..]));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let envelope = envelope(&line(3, 'a'));
        let whole = sealed(&envelope, b"holdfast");
        for bit in 0..whole.len() * 8 {
            let mut cut = whole.clone();
            cut[bit / 8] ^= 1 << (bit % 8);
            assert!(envelope.open(&mut cut).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_cluster_network_port_or_key_does_not_open_it() {
        let keys = ring(&line(3, 'a'));
        let whole = sealed(&envelope(&line(3, 'a')), b"holdfast");
        let one = Uuid::from_u128(1);
        let others = [
            Envelope::new(keys.clone(), Uuid::from_u128(2), "storage", "gossip"),
            Envelope::new(keys.clone(), one, "tenant", "gossip"),
            Envelope::new(keys.clone(), one, "storage", "ping"),
            Envelope::new(keys, one, "storageg", "ossip"),
            envelope(&line(3, 'b')),
        ];
        for other in others {
            assert_eq!(other.open(&mut whole.clone()), Err(Unopened::Broken));
        }
        assert_eq!(envelope(&line(4, 'a')).open(&mut whole.clone()), Err(Unopened::UnknownKey));
    }

    #[test]
    fn a_rotation_in_three_steps_never_loses_a_datagram() {
        let (old, new) = (line(1, 'a'), line(2, 'b'));
        // install, use, remove: members are at most one step apart.
        let steps = [old.clone(), format!("{old}{new}"), format!("{new}{old}"), new];
        for pair in steps.windows(2) {
            let (behind, ahead) = (envelope(&pair[0]), envelope(&pair[1]));
            assert!(ahead.open(&mut sealed(&behind, b"x")).is_ok());
            assert!(behind.open(&mut sealed(&ahead, b"x")).is_ok());
        }
    }

    proptest! {
        #[test]
        fn noise_never_opens_and_never_panics(mut noise in proptest::collection::vec(any::<u8>(), 0..1300)) {
            if let [version, id, ..] = &mut noise[..] {
                (*version, *id) = (VERSION, 3);
            }
            prop_assert!(envelope(&line(3, 'a')).open(&mut noise).is_err());
        }
    }
}
