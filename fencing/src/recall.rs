//! Verifications that a thread has made before.
//!
//! A simulation is a whole cluster in one thread: dozens of nodes verify the same bytes with the same key. The answer is
//! the same each time, so it may be kept. A program of one machine never asks for it, and verifies each time.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Answers that are kept; then all are forgotten.
const MOST: usize = 512;

/// A key, what was signed, and the signature: all of it, so that no two questions are ever taken for one.
type Question = ([u8; 32], Vec<u8>, [u8; 64]);

thread_local! {
    static KNOWN: RefCell<Option<BTreeMap<Question, bool>>> = const { RefCell::new(None) };
}

/// From now on this thread keeps what it has verified. For simulations.
pub fn keep_verifications() {
    KNOWN.with_borrow_mut(|known| {
        known.get_or_insert_default();
    });
}

/// What this thread has found before, or finds now.
pub(crate) fn verified(
    key: &[u8; 32],
    bytes: &[u8],
    signature: &[u8; 64],
    verify: impl FnOnce() -> bool,
) -> bool {
    KNOWN.with_borrow_mut(|known| {
        let Some(known) = known else { return verify() };
        let question = (*key, bytes.to_vec(), *signature);
        if let Some(found) = known.get(&question) {
            return *found;
        }
        if known.len() >= MOST {
            known.clear();
        }
        let found = verify();
        known.insert(question, found);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::KeyPair;

    #[test]
    fn what_is_kept_is_what_was_found_and_belongs_to_its_bytes() {
        keep_verifications();
        let (key, other) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
        let signature = key.sign(b"order");
        for _ in 0..2 {
            assert!(key.public().verifies(b"order", &signature));
            assert!(!key.public().verifies(b"other", &signature));
            assert!(!other.public().verifies(b"order", &signature));
        }
        for number in 0..MOST {
            assert!(!key.public().verifies(&number.to_be_bytes(), &signature));
        }
        assert!(key.public().verifies(b"order", &signature));
    }

    #[test]
    fn a_thread_that_did_not_ask_for_it_verifies_each_time() {
        let mut times = 0;
        for _ in 0..2 {
            assert!(verified(&[0; 32], b"", &[0; 64], || {
                times += 1;
                true
            }));
        }
        assert_eq!(times, 2);
    }
}
