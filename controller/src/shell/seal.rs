//! How controllers prove themselves to each other: every frame is sealed under the peer key and bound to the cluster,
//! to who sends, to who receives, to a challenge that the receiver drew for this connection, and to its place in it. So
//! none can be replayed, reordered or turned back.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fencing::ControllerId;
use uuid::Uuid;

use crate::config::PeerKey;

/// Bytes of a challenge.
pub(super) const CHALLENGE: usize = 32;
/// Bytes of the nonce before each frame.
const NONCE: usize = 24;
/// Bytes that sealing adds.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// Seals or opens one direction of one connection.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    bound: Vec<u8>,
    frames: u64,
}

impl Seal {
    pub(super) fn new(
        key: &PeerKey,
        cluster: Uuid,
        from: ControllerId,
        to: ControllerId,
        challenge: [u8; CHALLENGE],
    ) -> Self {
        let mut bound = b"holdfast peer v1\0".to_vec();
        bound.extend(cluster.as_bytes());
        bound.extend(from.0.to_be_bytes());
        bound.extend(to.0.to_be_bytes());
        bound.extend(challenge);
        Self { cipher: XChaCha20Poly1305::new(key.bytes().into()), bound, frames: 0 }
    }

    /// The next frame, sealed; `None` where the system has no randomness.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).ok()?;
        let bound = self.next();
        let payload = Payload { msg: plain, aad: &bound };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        let mut frame = nonce.to_vec();
        frame.extend(sealed);
        Some(frame)
    }

    /// Opens the next frame; `None` ends the connection.
    pub(super) fn open(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = frame.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let bound = self.next();
        self.cipher.decrypt(&nonce, Payload { msg: sealed, aad: &bound }).ok()
    }

    fn next(&mut self) -> Vec<u8> {
        let mut bound = self.bound.clone();
        bound.extend(self.frames.to_be_bytes());
        self.frames += 1;
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8, cluster: u128, from: u64, to: u64, challenge: u8) -> Seal {
        let (from, to) = (ControllerId(from), ControllerId(to));
        let key = PeerKey::new(&[key; 32]);
        Seal::new(&key, Uuid::from_u128(cluster), from, to, [challenge; CHALLENGE])
    }

    #[test]
    fn a_frame_opens_once_in_its_place_and_nowhere_else() {
        let mut here = seal(1, 1, 1, 2, 1);
        let first = here.seal(b"first").unwrap();
        let second = here.seal(b"second").unwrap();
        let mut there = seal(1, 1, 1, 2, 1);
        assert_eq!(there.open(&first).unwrap(), b"first");
        assert_eq!(there.open(&second).unwrap(), b"second");
        assert!(there.open(&second).is_none(), "replayed");
        assert!(seal(1, 1, 1, 2, 1).open(&second).is_none(), "overtaken");
        for mut other in [seal(2, 1, 1, 2, 1), seal(1, 2, 1, 2, 1), seal(1, 1, 2, 1, 1)] {
            assert!(other.open(&first).is_none());
        }
        assert!(seal(1, 1, 1, 2, 9).open(&first).is_none(), "another connection");
        for bit in 0..first.len() * 8 {
            let mut cut = first.clone();
            cut[bit / 8] ^= 1 << (bit % 8);
            assert!(seal(1, 1, 1, 2, 1).open(&cut).is_none(), "bit {bit}");
        }
        assert!(seal(1, 1, 1, 2, 1).open(&[]).is_none());
    }
}
